import { setImmediate, setTimeout } from 'node:timers/promises'
import type { RevocationKind } from '@bailiwick/contracts'
import { type Bench, inFlight, type Measure, percentile, type Row } from './measure.ts'
import { patiently } from './patience.ts'
import { isOver, type Prey, type Probed, type Reach, RevocationProbe } from './revocation-probe.ts'
import { type Granted, World } from './world.ts'

const kinds: readonly RevocationKind[] = [
  'credential',
  'delegation',
  'grant',
  'agent',
  'approver',
  'tool-server',
  'all',
]
const descendants = (quick: boolean) => (quick ? 20 : 1000)

/** How long after a revocation was acknowledged anything that it ends is still allowed (V7), kind by kind. */
export async function measureRevocations(bench: Bench): Promise<Measure> {
  const count = bench.count ?? (bench.quick ? 3 : 2000)
  const open = async () => {
    const world = await World.open(bench.dir)
    return { reach: reachOf(world), [Symbol.asyncDispose]: () => world[Symbol.asyncDispose]() }
  }
  return {
    id: 'revocations',
    title: 'From an acknowledged revocation to the last ALLOW, kind by kind',
    how: howOf(count, 'in the process of all four services'),
    rows: await revocationRows(bench, { count, open, p99: 20 }),
  }
}

interface Opened extends AsyncDisposable {
  reach: Reach
}

/** A new system for each kind. `p99`: the target, ms. */
export async function revocationRows(
  bench: Bench,
  { count, open, p99 }: { count: number; open: () => Promise<Opened>; p99: number },
): Promise<Row[]> {
  const rows: Row[] = []
  const tally = { asked: 0, allowed: 0, late: 0, ms: 0 }
  for (const kind of kinds) {
    await using opened = await open()
    const probe = new RevocationProbe(opened.reach, kind)
    const { lags, ...met } = await probe.run(count, (done) =>
      bench.progress(`revocations: ${kind} ${done} of ${count}`),
    )
    for (const name of ['asked', 'allowed', 'late', 'ms'] as const) tally[name] += met[name]
    rows.push(
      { name: `${kind}: p99`, value: percentile(lags, 0.99), unit: 'ms', target: { atMost: p99 } },
      { name: `${kind}: max`, value: Math.max(...lags), unit: 'ms', target: { atMost: 1000 } },
    )
  }
  await using opened = await open()
  const tree = await ofOneTree(bench, opened.reach)
  return [
    ...rows,
    {
      name: `a tree of ${descendants(bench.quick).toLocaleString('en-US')} descendants: acknowledged → last ALLOW`,
      value: tree.lag,
      unit: 'ms',
      target: { atMost: 1000 },
    },
    { name: 'all of that tree asked once, all denied', value: tree.deniedMs, unit: 'ms' },
    { name: 'asked meanwhile', value: (tally.asked * 1000) / tally.ms, unit: '/s' },
    { name: 'ALLOWs meanwhile', value: (tally.allowed * 1000) / tally.ms, unit: '/s' },
    { name: 'denied for being late', value: tally.late, unit: '' },
  ]
}

export const howOf = (count: number, where: string) =>
  `${count.toLocaleString('en-US')} revocations of each kind by the operator, one after the other, each of a grant (credential, delegation) that was made for it; kinds that ` +
  `match many end a second one too. 200 decisions a second are asked for meanwhile ${where}, in an open loop, in turns under the one that is about to be revoked and ` +
  'under another one, from 30 ms before until 60 ms after the answer, and whatever is then on its way. The clock starts when the operator has the answer; an ALLOW counts when ' +
  'its answer is here. V7 allows 1 s. Of the tree each descendant holds its own part of one grant, and its own credential; 16 calls are in flight for 200 ms before and ' +
  '300 ms after the answer; then each is asked once more.'

/** 16 at once, as several agents under one tree would ask. */
async function ofOneTree({ quick, progress }: Bench, reach: Reach): Promise<{ lag: number; deniedMs: number }> {
  const root = await reach.prey('grant')
  const children: Prey[] = []
  await inFlight(4, descendants(quick), async () => {
    children.push(await reach.passOn(root))
    progress(`revocations: delegation ${children.length}`)
  })
  const ask = (n: number) => reach.ask(children[n % children.length] as Prey, n)
  let last = 0
  let running = true
  let next = 0
  const loop = async () => {
    while (running) {
      if ((await ask(next++)).decision) last = performance.now()
      await setImmediate() // a denial touches no disk: without this, nothing but denials would ever run again
    }
  }
  const loops = Array.from({ length: 16 }, loop)
  await setTimeout(200)
  await reach.revoke('grant', root.grantId)
  const acknowledged = performance.now()
  await setTimeout(300)
  running = false
  await Promise.all(loops)
  if (last === 0) throw new Error('nothing under the tree was ever allowed')
  const { totalMs } = await inFlight(16, children.length, async (n) => {
    const { decision, reason } = await ask(n)
    await setImmediate()
    if (decision || !isOver(reason)) throw new Error(`not over: ${reason}`)
  })
  return { lag: Math.max(0, last - acknowledged), deniedMs: totalMs }
}

function reachOf(world: World): Reach {
  const { services, host } = world.system
  const passOn = async (granted: Granted) => ({
    ...granted,
    ...(await world.subAgents.passOn(world.system, granted.grantId)),
  })
  return {
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
      const payload = { kind, target, reason: 'bench' }
      await patiently(async () => {
        const answer = await host.operator.inject({ method: 'POST', url: '/operator/revocations', payload })
        if (answer.statusCode !== 200) throw Object.assign(new Error(`not revoked: ${answer.body}`), answer.json())
      })
    },
  }
}
