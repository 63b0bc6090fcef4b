import { setImmediate, setTimeout } from 'node:timers/promises'
import type { Bus } from '@bailiwick/bus'
import { type Bench, type Measure, median, percentile, timed } from './measure.ts'
import { type Granted, World } from './world.ts'

const callers = 16
const afterMs = 500

/** How long after a revocation counts an ALLOW is still answered (V7), while the decision point is busy. */
export async function measureWithdrawal({ dir, quick, progress }: Bench): Promise<Measure> {
  const count = quick ? 4 : 50
  const durable = { at: 0 }
  await using world = await World.open(dir, { wrapBus: (bus) => timingRevocations(bus, durable) })
  const agent = world.agent()
  const grants: Granted[] = []
  while (grants.length < count) {
    progress(`withdrawal: grant ${grants.length} of ${count}`)
    grants.push(await world.grant({ agent }))
  }
  const lastAllow = new Map<string, number>()
  const askedAt = new Map<string, number>()
  const revokedAt = new Map<string, number>()
  const tally = { allowed: 0, deniedAfter: 0 }
  let running = true
  const call = async (grant: Granted) => {
    const answer = await world.system.services.policyDecision.decide(world.point, world.evaluation(grant))
    if (answer.decision) {
      tally.allowed += 1
      lastAllow.set(grant.grantId, performance.now())
    } else if (revokedAt.has(grant.grantId)) tally.deniedAfter += 1
    else if (answer.reason !== 'grant_revoked') throw new Error(`denied: ${answer.reason}`)
  }
  /** Those that die next get most of the calls, before and after. */
  let aim = 0
  const loop = async (n: number) => {
    for (let m = n; running; m++) {
      await call(grants[(m % 2 === 0 ? aim : m) % count] as Granted)
      await setImmediate() // a denial touches no disk: without this, nothing but denials would ever run again
    }
  }
  const loops = Array.from({ length: callers }, (_, n) => loop(n))
  const acknowledged: number[] = []
  const started = performance.now()
  for (const [n, grant] of grants.entries()) {
    progress(`withdrawal: ${n} of ${count}`)
    aim = n
    await setTimeout(50)
    askedAt.set(grant.grantId, performance.now())
    acknowledged.push(await timed(() => world.approver.withdraw(grant.requestId)))
    revokedAt.set(grant.grantId, durable.at)
  }
  await setTimeout(afterMs)
  running = false
  await Promise.all(loops)
  const seconds = (performance.now() - started) / 1000
  const untilLastAllow = (since: Map<string, number>) =>
    grants.map(({ grantId }) => Math.max(0, (lastAllow.get(grantId) ?? 0) - (since.get(grantId) ?? Number.NaN)))
  const lags = untilLastAllow(revokedAt)
  const fromClick = untilLastAllow(askedAt)
  return {
    id: 'withdrawal',
    title: 'From withdrawal to the last ALLOW',
    how:
      `${count} grants withdrawn at the console one after the other while ${callers} callers keep the decision point busy in ` +
      `the same process, half of their calls under the grant that is being withdrawn, and for ${afterMs} ms afterwards. The ` +
      'clock starts when `revocation.declared` is durable, before anybody is told; ALLOWs count when they are answered. V7 ' +
      'allows 1 s.',
    rows: [
      { name: 'revocation durable → last ALLOW, p50', value: median(lags), unit: 'ms' },
      {
        name: 'revocation durable → last ALLOW, p99',
        value: percentile(lags, 0.99),
        unit: 'ms',
        target: { atMost: 1000 },
      },
      { name: 'withdraw asked → last ALLOW, p50', value: median(fromClick), unit: 'ms' },
      { name: 'withdraw asked → last ALLOW, p99', value: percentile(fromClick, 0.99), unit: 'ms' },
      { name: 'withdraw asked → acknowledged, p50', value: median(acknowledged), unit: 'ms' },
      { name: 'withdraw asked → acknowledged, p99', value: percentile(acknowledged, 0.99), unit: 'ms' },
      { name: 'ALLOWs meanwhile', value: tally.allowed / seconds, unit: '/s' },
      { name: 'calls denied after their revocation', value: tally.deniedAfter, unit: '' },
    ],
  }
}

/** Notes when the newest revocation became durable. */
function timingRevocations(bus: Bus, durable: { at: number }): Bus {
  return new Proxy(bus, {
    get(target, name) {
      const member = Reflect.get(target, name)
      if (typeof member !== 'function') return member
      if (name !== 'publish') return member.bind(target)
      return async (...args: Parameters<Bus['publish']>) => {
        const positions = await target.publish(...args)
        const [topic, events] = args
        const isDeclared = events.some(({ bytes }) => Buffer.from(bytes).includes('"type":"revocation.declared"'))
        if (topic === 'revocations.v1' && isDeclared) durable.at = performance.now()
        return positions
      }
    },
  })
}
