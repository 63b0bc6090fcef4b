import { type ChildProcess, fork } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Action } from '@bailiwick/credentials'
import type { HttpServer } from '@bailiwick/host'
import { endWithThis } from '@bailiwick/native'
import { type EnforcementPoint, memoryOutcomeStore, openEnforcementPoint } from '@bailiwick/pep'
import { sample, sampleAuthority, sampleKey } from '@bailiwick/standalone/sample'
import { expect, it } from 'vitest'
import { Point, read } from './agent-side.ts'
import { type Granted, granted } from './granted.ts'
import { inside } from './inside.ts'
import { outcomeChains } from './outcome-chains.ts'
import type { ReplicaOptions, Request } from './replica.ts'
import { eventually, type World } from './world.ts'

const resource = { type: 'tool', id: `${sample.toolServer}/${read.tool}` }
const action: Action = { name: 'tools/call', properties: read.properties, resource }
const manyCalls = { authority: { ...sampleAuthority, budget: { ...sampleAuthority.budget, calls: 5000 } } }
const callIds = (count: number, name: string) =>
  Array.from({ length: count }, (_, n) => `call-${name}-${String(n).padStart(16, '0')}`)

const processes = 8

/** Requests as the agent signs them, each with a proof of its own; a repeated request has another proof. */
async function signer({ world, credential }: Granted) {
  const point = new Point(world)
  await point.call({ credential, ...read }) // fetches the nonce
  return (callId: string): Request => {
    const { body } = point.body({ credential, ...read })
    const { proof, htu } = (body.context as { bailiwick: { proof: string; htu: string } }).bailiwick
    return { credential, proof, callId, action, htu }
  }
}

const replica = ({ url, trust, data, clock, random }: World, http: HttpServer): Promise<EnforcementPoint> =>
  openEnforcementPoint({
    ...{ id: sample.enforcementPoint, trust, pdpUrl: url, store: memoryOutcomeStore(), now: clock.now, random },
    callerKey: sampleKey(data, 'point-caller'),
    outcomeKey: sampleKey(data, 'point-outcome'),
    fetch: inside(http),
    timeoutMs: 20_000,
  })

it.each([2, 8])(
  'exactly one of %i replicas that all get every request runs the allowed call, with one decision point and with two (V1, V10)',
  async (count) => {
    await using system = await granted({}, manyCalls)
    const { world, credential } = system
    const second = await world.startPdp()
    await new Point(world, second.http).call({ credential, ...read })
    await using opened = new AsyncDisposableStack()
    const points: EnforcementPoint[] = []
    for (let n = 0; n < count; n++) points.push(opened.use(await replica(world, n % 2 ? second.http : world.http)))
    expect(new Set(points.map(({ instance }) => instance)).size).toBe(count)
    const sign = await signer(system)
    const effects: { decisionId: string; callId: string }[] = []
    const reasons = new Set<string>()
    const send = async (point: EnforcementPoint | undefined, request: Request) => {
      const said = await point?.guard({ ...request, htm: 'POST' }, async ({ decisionId, callId }) => {
        effects.push({ decisionId, callId })
      })
      if (said && !said.allowed) reasons.add(said.reason)
    }
    for (const callId of callIds(12, 'all')) {
      // Each replica gets the very same request, and then what a client repeats, newly signed.
      const request = sign(callId)
      await Promise.all(points.map((point) => send(point, request)))
      await Promise.all(points.map((point) => send(point, sign(callId))))
    }
    await Promise.all(points.map((point) => point.delivered()))
    const allowed = (await world.events('decisions.v1')).filter(
      ({ type, data }) => type === 'decision.allowed' && 'call_id' in data && data.call_id?.startsWith('call-all-'),
    )
    expect(effects.length).toBeGreaterThanOrEqual(12)
    expect(new Set(effects.map(({ callId }) => callId)).size).toBe(effects.length)
    const decided = effects.map(({ decisionId }) => decisionId)
    expect(allowed.map(({ subject }) => subject)).toEqual(expect.arrayContaining(decided))
    expect(new Set(decided).size).toBe(decided.length)
    expect([...reasons]).toContain('call_elsewhere')
    const chains = await outcomeChains(world)
    expect(chains.faults).toEqual([])
    expect(chains.outcomes).toBeGreaterThanOrEqual(effects.length)
  },
  120_000,
)

it('replicas killed at any moment, with every request sent to all of them, run each ALLOW at most once (V1, V10)', async () => {
  await using system = await granted({}, manyCalls)
  const { world } = system
  await world.http.listen({ port: Number(new URL(world.url).port) })
  const effects = join(world.data, 'effects.jsonl')
  const children = await Promise.all(Array.from({ length: processes }, (_, n) => startReplica(world, n, effects)))
  try {
    const sign = await signer(system)
    const ids = callIds(24, 'kill')
    for (const [n, callId] of ids.entries()) {
      for (const child of children) child.send(sign(callId))
      const request = sign(callId)
      for (const child of children) child.send(request)
      // Killed after this many ms, in the middle of a decision, an effect or a report.
      if (n % 6 !== 5) continue
      const at = ((n / 6) % children.length) | 0
      await new Promise((resolve) => setTimeout(resolve, (n * 7) % 31))
      await children[at]?.kill()
      children[at] = await startReplica(world, at, effects)
    }
    for (const child of children) await child.idle()
    const ran = existsSync(effects) ? readFileSync(effects, 'utf8').trim().split('\n') : []
    const done = ran.map((line) => JSON.parse(line) as { decisionId: string; callId: string; instance: string })
    expect(done.length).toBeGreaterThan(8)
    expect(new Set(done.map(({ callId }) => callId)).size).toBe(done.length)
    const allowed = new Map(
      (await world.events('decisions.v1')).flatMap(({ type, subject, data }) =>
        type === 'decision.allowed' ? [[subject, (data as { instance?: string }).instance] as const] : [],
      ),
    )
    for (const { decisionId, instance } of done) expect(allowed.get(decisionId)).toBe(instance)
    expect((await outcomeChains(world)).faults).toEqual([])
  } finally {
    for (const child of children) await child.kill()
  }
}, 180_000)

async function startReplica({ url, trust, data }: World, n: number, effects: string) {
  const child: ChildProcess = fork(join(import.meta.dirname, 'replica.ts'), { stdio: 'inherit' })
  endWithThis(child)
  let [sent, answered] = [0, 0]
  let isOpen = false
  child.on('message', (message: { opened?: true }) => {
    if (message.opened) isOpen = true
    else answered++
  })
  const outcomes = join(data, `outcomes-${n}.json`)
  child.send({ url, trust, data, effects, outcomes } satisfies ReplicaOptions)
  await eventually(() => isOpen || undefined)
  return {
    send(request: Request) {
      sent++
      child.send(request)
    },
    idle: () => eventually(() => answered >= sent || undefined),
    async kill() {
      if (child.exitCode !== null || child.signalCode !== null) return
      const gone = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGKILL')
      await gone
    },
  }
}
