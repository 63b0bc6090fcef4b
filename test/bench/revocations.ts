import { setImmediate, setTimeout } from 'node:timers/promises'
import type { RevocationKind } from '@bailiwick/contracts'
import { type Bench, inFlight, type Measure, percentile, type Row } from './measure.ts'
import { patiently, persistently } from './patience.ts'
import {
  askOf,
  claimsOf,
  isLate,
  isOver,
  type Prey,
  type Probed,
  type Reach,
  RevocationProbe,
} from './revocation-probe.ts'
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
/** What is measured: each kind, and a tree. */
export const kinds: readonly string[] = [...revoked, 'tree']

/** How long after a revocation was acknowledged anything that it ends is still allowed (V7), kind by kind. */
export async function measureRevocations(bench: Bench): Promise<Measure> {
  const count = bench.count ?? (bench.quick ? 3 : 2000)
  const open = async () => {
    const world = await World.open(bench.dir)
    return { reach: reachOf(world), [Symbol.asyncDispose]: () => world[Symbol.asyncDispose]() }
  }
  const about = {
    id: 'revocations',
    title: 'From an acknowledged revocation to the last ALLOW, kind by kind',
    how: howOf(count, 'in the process of all four services'),
  }
  return await kindByKind(bench, { about, count, open, p99: 20 })
}

interface Opened extends AsyncDisposable {
  reach: Reach
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

/** A new system for each kind. One that fails is told, and fails the measure at the end; the others are kept. */
export async function kindByKind(bench: Bench, { about, count, open, p99 }: KindByKind): Promise<Measure> {
  const rows: Row[] = []
  const tally = { asked: 0, allowed: 0, late: 0, ms: 0, restarts: 0 }
  const failures: unknown[] = []
  const soFar = (): Measure => ({ ...about, rows: [...rows, ...loadRows(tally)] })
  for (const kind of kinds) {
    if (bench.kinds && !bench.kinds.includes(kind)) continue
    const started = performance.now()
    const said = (line: string) =>
      bench.stage(`  ${kind}: ${line}, after ${Math.round((performance.now() - started) / 1000)} s`)
    try {
      await using opened = await persistently(open)
      if (kind === 'tree') rows.push(...(await treeRows(bench, count, opened.reach)))
      else {
        const { lags, outlived, ...met } = await new RevocationProbe(opened.reach, kind as RevocationKind).run(
          count,
          (done) => bench.progress(`revocations: ${kind} ${done} of ${count}`),
        )
        for (const name of ['asked', 'allowed', 'late', 'ms'] as const) tally[name] += met[name]
        rows.push(
          { name: `${kind}: p99`, value: percentile(lags, 0.99), unit: 'ms', target: { atMost: p99 } },
          { name: `${kind}: max`, value: Math.max(...lags), unit: 'ms', target: { atMost: 1000 } },
        )
        if (outlived > 0)
          rows.push({ name: `${kind}: still allowed 5 s later`, value: outlived, unit: '', target: { atMost: 0 } })
      }
      tally.restarts += opened.restarts?.() ?? 0
      bench.keep(soFar())
      said(
        rows
          .slice(-2)
          .map(({ name, value }) => `${name} ${value.toFixed(1)}`)
          .join(', '),
      )
    } catch (error) {
      failures.push(error)
      said(`failed: ${String(error).slice(0, 200)}`)
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, `${failures.length} of ${about.title} failed`)
  return soFar()
}

const loadRows = (tally: { asked: number; allowed: number; late: number; ms: number; restarts: number }): Row[] =>
  tally.ms === 0
    ? []
    : [
        { name: 'asked meanwhile', value: (tally.asked * 1000) / tally.ms, unit: '/s' },
        { name: 'ALLOWs meanwhile', value: (tally.allowed * 1000) / tally.ms, unit: '/s' },
        { name: 'denied for being late', value: tally.late, unit: '' },
        ...(tally.restarts === 0
          ? []
          : [{ name: 'services that stopped and were started again', value: tally.restarts, unit: '' } as const]),
      ]

export const howOf = (count: number, where: string) =>
  `${count.toLocaleString('en-US')} revocations of each kind by the operator, one after the other, each of a grant (credential, delegation) that was made for it; kinds that ` +
  `match many end a second one too. 200 decisions a second are asked for meanwhile ${where}, in an open loop, in turns under the one that is about to be revoked and ` +
  'under another one: until it is allowed and 30 ms more before, and after the answer for 60 ms and until every decision point has denied it. The clock starts when the operator has the answer; an ALLOW counts when ' +
  'its answer is here. V7 allows 1 s. Of the tree each descendant holds its own part of one grant, and its own credential; 16 calls are in flight for 200 ms before and ' +
  '300 ms after the answer; then each is asked once more.'

/** 16 at once, as several agents under one tree would ask. */
async function treeRows({ quick, progress }: Bench, count: number, reach: Reach): Promise<Row[]> {
  const root = await persistently(() => reach.prey('grant'))
  const made: Prey[] = []
  await inFlight(4, quick ? 20 : Math.min(1000, Math.max(20, count)), async () => {
    made.push(await persistently(() => reach.passOn(root)))
    progress(`revocations: delegation ${made.length}`)
  })
  // Where making them took longer than a credential lives, those that still do.
  const alive = Date.now() / 1000 + 60
  const children = made.filter(({ token }) => claimsOf(token).exp > alive)
  const ask = (n: number) => askOf(reach, children[n % children.length] as Prey, n % reach.points)
  let last = 0
  let running = true
  let next = 0
  const loop = async () => {
    while (running) {
      if ((await ask(next++)).decision) last = performance.now()
      await setImmediate() // a denial touches no disk: without this, nothing but denials would ever run again
    }
  }
  const loops = Promise.all(Array.from({ length: 16 }, loop))
  try {
    for (const end = performance.now() + 120_000; last === 0; await setTimeout(50))
      if (performance.now() > end) throw new Error('nothing under the tree was ever allowed')
    await setTimeout(200)
    await reach.revoke('grant', root.grantId)
  } catch (error) {
    running = false
    await loops
    throw error
  }
  const acknowledged = performance.now()
  await setTimeout(300)
  running = false
  await loops
  const { totalMs } = await inFlight(16, children.length, async (n) => {
    const { decision, reason } = await persistently(async () => {
      const probed = await ask(n)
      if (isLate(probed.reason)) throw new Error(`late: ${probed.reason}`)
      return probed
    })
    await setImmediate()
    if (decision) last = performance.now()
    else if (!isOver(reason)) throw new Error(`not over: ${reason}`)
  })
  const size = children.length.toLocaleString('en-US')
  return [
    {
      name: `a tree of ${size} descendants: acknowledged → last ALLOW`,
      value: Math.max(0, last - acknowledged),
      unit: 'ms',
      target: { atMost: 1000 },
    },
    { name: 'all of that tree asked once, all denied', value: totalMs, unit: 'ms' },
  ]
}

function reachOf(world: World): Reach {
  const { services, host } = world.system
  const passOn = async (granted: Granted) => ({
    ...granted,
    ...(await world.subAgents.passOn(world.system, granted.grantId)),
  })
  return {
    points: 1,
    passOn,
    async prey(kind) {
      const granted = await world.grant()
      return kind === 'delegation' ? passOn(granted) : { ...granted, key: undefined, delegation: undefined }
    },
    async ask(prey): Promise<Probed> {
      const answer = await services.policyDecision.decide(world.point, world.evaluation(prey, prey.key))
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
