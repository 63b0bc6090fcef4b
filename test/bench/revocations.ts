import { setImmediate, setTimeout } from 'node:timers/promises'
import type { RevocationKind } from '@bailiwick/contracts'
import { type Bench, inFlight, type Measure, percentile, perSecond, type Row } from './measure.ts'
import { patiently, persistently } from './patience.ts'
import { Preys } from './preys.ts'
import { askOf, claimsOf, isLate, isOver, type Probed, type Reach, RevocationProbe } from './revocation-probe.ts'
import { type Granted, World } from './world.ts'

const revoked: readonly RevocationKind[] = [
  'credential',
  'delegation',
  'grant',
  'agent',
  'approver',
  'tool-server',
  'all',
]
/** The subjects of the measure: each kind, and a tree. */
export const kinds: readonly string[] = [...revoked, 'tree']

/** How long after the acknowledgement of a revocation its targets are still allowed (V7), kind by kind. */
export async function measureRevocations(bench: Bench): Promise<Measure> {
  const count = bench.count ?? (bench.quick ? 3 : 2000)
  const open = async () => {
    const world = await World.open(bench.dir)
    return { reach: reachOf(world), [Symbol.asyncDispose]: () => world[Symbol.asyncDispose]() }
  }
  const about = {
    id: 'revocations',
    title: 'From an acknowledged revocation to the last ALLOW, kind by kind',
    how: howOf('in the process of all four services'),
    byKind: kinds,
  }
  return await kindByKind(bench, { about, count, open, p99: 20 })
}

export interface TreeReach extends Reach {
  /** The sub-agent of this grant. */
  passOn(granted: Granted): Promise<Granted>
}

interface Opened extends AsyncDisposable {
  reach: TreeReach
  /** How often a service had to be started again. */
  restarts?: () => number
}

interface KindByKind {
  about: Omit<Measure, 'rows'>
  count: number
  open: () => Promise<Opened>
  /** The target, ms. */
  p99: number
}

/** A new system for each kind. A kind that fails is reported, and fails the measure at the end; the others are kept. */
export async function kindByKind(bench: Bench, { about, count, open, p99 }: KindByKind): Promise<Measure> {
  const rows: Row[] = []
  const failures: unknown[] = []
  for (const kind of kinds) {
    if (bench.kinds && !bench.kinds.includes(kind)) continue
    const started = performance.now()
    const said = (line: string) =>
      bench.stage(`  ${kind}: ${line}, after ${Math.round((performance.now() - started) / 1000)} s`)
    try {
      await using opened = await persistently(open)
      const { reach } = opened
      const measured =
        kind === 'tree'
          ? await treeRows(bench, count, reach)
          : await kindRows(bench, { kind: kind as RevocationKind, count, reach, p99 })
      const restarts = opened.restarts?.() ?? 0
      if (restarts > 0)
        measured.push({ name: 'services that stopped and were started again', value: restarts, unit: '' })
      rows.push(...measured.map((row) => ({ ...row, name: `${kind}: ${row.name}` })))
      bench.keep({ ...about, rows })
      said(measured.map(({ name, value }) => `${name} ${value.toFixed(1)}`).join(', '))
    } catch (error) {
      failures.push(error)
      said(`failed: ${String(error).slice(0, 200)}`)
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, `${failures.length} of ${about.title} failed`)
  return { ...about, rows }
}

interface OneKind {
  kind: RevocationKind
  count: number
  reach: Reach
  p99: number
}

async function kindRows({ progress, seconds }: Bench, { kind, count, reach, p99 }: OneKind): Promise<Row[]> {
  const { revoked, lags, outlived, asked, allowed, late, ms } = await new RevocationProbe(reach, kind).run(
    count,
    (done) => progress(`revocations: ${kind} ${done} of ${count}`),
    seconds,
  )
  const rows: Row[] = [
    { name: 'p99', value: percentile(lags, 0.99), unit: 'ms', target: { atMost: p99 } },
    { name: 'max', value: Math.max(...lags), unit: 'ms', target: { atMost: 1000 } },
    { name: 'asked meanwhile', value: perSecond(asked, ms), unit: '/s' },
    { name: 'ALLOWs meanwhile', value: perSecond(allowed, ms), unit: '/s' },
    { name: 'denied for being late', value: late, unit: '' },
  ]
  if (outlived > 0) rows.push({ name: 'still allowed 5 s later', value: outlived, unit: '', target: { atMost: 0 } })
  return rows.map((row) => ({ ...row, count: revoked }))
}

export const howOf = (where: string) =>
  `Revocations by the operator, as many as the row says, while 200 decisions a second are asked for ${where}, in an open loop of at most 32 unanswered. ` +
  'Each has a grant of its own, which is asked for until it is allowed and 30 ms more before, and after the answer for 60 ms and until every decision point has denied it. ' +
  'Embedded one is under way, on Kafka up to four at once, which share the rate; one alone shares it with a grant that lives on; the next are prepared meanwhile. Under a grant whose credentials or ' +
  'delegations are revoked that is done 50 times, one after the other. What is done at once has agents, approvers and tool servers of its own, so that one of them ends nothing else; of all one is under way, and ends two grants. ' +
  'The clock starts when the operator has the answer; an ALLOW counts when its answer is here. V7 allows 1 s. Of the tree each descendant holds its own part of one grant, and its own credential; 16 calls are in flight until 100 were allowed before and ' +
  '100 denied after the answer; then each is asked once more.'

const manyOfTree = 100

/** 16 at once, as several agents under one tree would call. */
async function treeRows({ quick, progress }: Bench, count: number, reach: TreeReach): Promise<Row[]> {
  const root = await persistently(() => reach.prey('grant', 0))
  const made: Granted[] = []
  await inFlight(8, quick ? 20 : Math.min(1000, Math.max(20, count)), async () => {
    made.push(await persistently(() => reach.passOn(root)))
    progress(`revocations: delegation ${made.length}`)
  })
  // If making them took longer than a credential lives, those that are still valid.
  const alive = Date.now() / 1000 + 60
  const children = made.filter(({ token }) => claimsOf(token).exp > alive)
  const ask = (n: number) => askOf(reach, children[n % children.length] as Granted, n % reach.points)
  const heard = { last: 0, allowed: 0, over: 0 }
  let acknowledged = Number.POSITIVE_INFINITY
  let running = true
  let next = 0
  const loop = async () => {
    while (running) {
      const askedAt = performance.now()
      const { decision, reason } = await ask(next++)
      if (decision) {
        heard.allowed++
        heard.last = performance.now()
      } else if (askedAt >= acknowledged && isOver(reason)) heard.over++
      await setImmediate() // a denial touches no disk: without this, only denials would ever run again
    }
  }
  const loops = Promise.all(Array.from({ length: 16 }, loop))
  // A shared machine may be late for most of them: a target that was hardly called would look like a quick end.
  const untilMany = async (what: 'allowed' | 'over') => {
    for (const end = performance.now() + 120_000; heard[what] < manyOfTree; await setTimeout(5))
      if (performance.now() > end) throw new Error(`of a tree, ${what}: ${heard[what]} in two minutes`)
  }
  let allowedBefore = 0
  try {
    await untilMany('allowed')
    await reach.revoke('grant', root.grantId)
    acknowledged = performance.now()
    allowedBefore = heard.allowed
    await untilMany('over')
  } finally {
    running = false
    await loops
  }
  const { totalMs } = await inFlight(16, children.length, async (n) => {
    const { decision, reason } = await persistently(async () => {
      const probed = await ask(n)
      if (isLate(probed.reason)) throw new Error(`late: ${probed.reason}`)
      return probed
    })
    await setImmediate()
    if (decision) heard.last = performance.now()
    else if (!isOver(reason)) throw new Error(`not over: ${reason}`)
  })
  const rows: Row[] = [
    {
      name: 'acknowledged → last ALLOW',
      value: Math.max(0, heard.last - acknowledged),
      unit: 'ms',
      target: { atMost: 1000 },
    },
    { name: 'ALLOWs before', value: allowedBefore, unit: '' },
    { name: 'ALLOWs on their way then', value: heard.allowed - allowedBefore, unit: '' },
    { name: 'all descendants asked once, all denied', value: totalMs, unit: 'ms' },
  ]
  return rows.map((row) => ({ ...row, count: children.length }))
}

function reachOf(world: World): TreeReach {
  const { services, host } = world.system
  const preys = new Preys(world.system, {
    approver: world.approver,
    subAgents: world.subAgents,
    cast: world.cast,
    grant: (part) => world.grant(part),
    token: (grantId) => world.token(grantId),
  })
  return {
    points: 1,
    // All share one thread.
    atOnce: 1,
    ahead: 1,
    passOn: (granted) => preys.passOn(granted),
    prey: (kind, lane) => preys.make(kind, lane),
    other: () => world.grant(),
    async ask(granted): Promise<Probed> {
      const answer = await services.policyDecision.decide(world.point, world.evaluation(granted))
      return answer.decision ? { decision: true } : { decision: false, reason: answer.reason }
    },
    async revoke(kind, target) {
      const payload = { kind, target }
      await patiently(async () => {
        const answer = await host.operator.inject({ method: 'POST', url: '/operator/revocations', payload })
        if (answer.statusCode !== 200) throw Object.assign(new Error(`not revoked: ${answer.body}`), answer.json())
      })
    },
  }
}
