import { setImmediate } from 'node:timers/promises'
import { signCallerAssertion } from '@bailiwick/credentials'
import { sample, sampleKey } from '@bailiwick/standalone/sample'
import type { SystemOptions } from '@bailiwick/testkit'
import { recordInMemory } from './in-memory-record.ts'
import { type Bench, inFlight, type Measure, median, percentile, perSecond, type Row } from './measure.ts'
import { type Evaluation, type Granted, World } from './world.ts'

type WrapRecord = NonNullable<SystemOptions['wrapRecord']>

const trees = 8
const width = 64

/** The cost of a decision, and the part of it that evidence causes. */
export async function measureDecisions(bench: Bench): Promise<Measure> {
  const on = await withSystem(bench, 'evidence on', undefined, async (world, grants) => [
    ...(await inProcess(bench, world, grants)),
    ...(await overHttp(bench, world, grants)),
  ])
  const memory = recordInMemory()
  const off = await withSystem(bench, 'evidence off', memory.wrapRecord, async (world, grants) => {
    memory.ledger = world.system.services.policyDecision.pdp.projection.ledger
    return inProcess(bench, world, grants)
  })
  const rate = (rows: Row[]) => rows.find(({ unit }) => unit === '/s')?.value ?? Number.NaN
  return {
    id: 'decisions',
    title: 'Decisions',
    how:
      `Calls of an agent under ${trees} grants, all allowed, decided in the process by policy-decision (no HTTP), ${width} in ` +
      'flight; each has a credential, a proof of the key and a signed permit as its answer, and is checked by every step of ' +
      'DESIGN §7.4. Evidence on: signed, durable, read back, and put into the log by the evidence service of the same process. ' +
      'Evidence off: kept in memory alone, which no setting does. Over HTTP: the same with evidence, asked by a client in the ' +
      'same process, which shares its one thread.',
    rows: [
      ...on.map((row) => ({ ...row, name: row.name.replace('decided', 'evidence on') })),
      ...off.map((row) => ({ ...row, name: row.name.replace('decided', 'evidence off') })),
      { name: 'evidence off ÷ on', value: rate(off) / rate(on), unit: '×' },
    ],
  }
}

async function withSystem(
  { dir, progress }: Bench,
  name: string,
  wrapRecord: WrapRecord | undefined,
  run: (world: World, grants: Granted[]) => Promise<Row[]>,
): Promise<Row[]> {
  progress(`decisions: ${name}`)
  await using world = await World.open(dir, wrapRecord ? { wrapRecord } : {})
  const grants: Granted[] = []
  while (grants.length < trees) grants.push(await world.grant())
  return await run(world, grants) // before the system is disposed
}

async function inProcess({ quick }: Bench, world: World, grants: readonly Granted[]): Promise<Row[]> {
  const { services } = world.system
  const run = async (inFlightNow: number, count: number) => {
    // Signed beforehand: an agent's signature is not part of a decision.
    const asked = await evaluations(world, grants, count)
    let late = 0
    const measured = await inFlight(inFlightNow, count, async (n) => {
      const answer = await services.policyDecision.decide(world.point, asked[n] as Evaluation)
      if (!answer.decision) late += lateOrThrow(answer.reason)
    })
    return { ...measured, late, rate: perSecond(count, measured.totalMs) }
  }
  await run(1, 20)
  await run(width, quick ? 64 : 1000)
  const many = await run(width, quick ? 256 : 6000)
  const one = await run(1, quick ? 20 : 300)
  return [
    { name: `decided, ${width} in flight`, value: many.rate, unit: '/s' },
    { name: `decided, ${width} in flight, p50`, value: median(many.each), unit: 'ms' },
    { name: `decided, ${width} in flight, p99`, value: percentile(many.each, 0.99), unit: 'ms' },
    { name: 'decided, denied for being late', value: many.late, unit: '' },
    { name: 'decided, one at a time, p50', value: median(one.each), unit: 'ms' },
    { name: 'decided, one at a time, p99', value: percentile(one.each, 0.99), unit: 'ms' },
  ]
}

async function overHttp({ quick }: Bench, world: World, grants: readonly Granted[]): Promise<Row[]> {
  const count = quick ? 256 : 3000
  const asked = (await evaluations(world, grants, count)).map(({ subject, action, resource, observed }) =>
    JSON.stringify({ subject, action, resource, context: { bailiwick: observed } }),
  )
  const headers = { authorization: `Bearer ${callerAssertion(world)}`, 'content-type': 'application/json' }
  const { each, totalMs } = await inFlight(width, count, async (n) => {
    const body = asked[n] as string
    const response = await fetch(`${world.system.url}/access/v1/evaluation`, { method: 'POST', headers, body })
    const answer = (await response.json()) as { decision: boolean; context: { reason?: string } }
    if (!answer.decision) lateOrThrow(answer.context.reason)
  })
  return [
    { name: `decided over HTTP, ${width} in flight`, value: perSecond(count, totalMs), unit: '/s' },
    { name: `decided over HTTP, ${width} in flight, p50`, value: median(each), unit: 'ms' },
    { name: `decided over HTTP, ${width} in flight, p99`, value: percentile(each, 0.99), unit: 'ms' },
  ]
}

/**
 * On a machine that is busy with something else, a decision or the head that proves its state may be late. Any other
 * denial is an error.
 */
export function lateOrThrow(reason: string | undefined): 1 {
  if (reason !== 'deadline_exceeded' && reason !== 'state_stale') throw new Error(`denied: ${reason}`)
  return 1
}

/** Pauses, so that heads are read in between: a process that only signs for seconds is rightly considered stale. */
async function evaluations(world: World, grants: readonly Granted[], count: number): Promise<Evaluation[]> {
  const made: Evaluation[] = []
  while (made.length < count) {
    made.push(world.evaluation(grants[made.length % grants.length] as Granted))
    if (made.length % 50 === 0) await setImmediate()
  }
  return made
}

function callerAssertion({ system }: World): string {
  const iat = Math.floor(system.host.clock.now() / 1000)
  const name = sample.enforcementPoint
  return signCallerAssertion(
    { iss: name, sub: name, aud: system.url, iat, exp: iat + 60, jti: `bench-${iat}` },
    sampleKey(system.data, 'point-caller'),
  )
}
