import { setTimeout } from 'node:timers/promises'
import { type Measure, median, percentile } from '../measure.ts'
import type { Granted } from '../world.ts'
import { isLate } from './processes.ts'
import type { KafkaBench } from './worlds.ts'

const perSecond = 200
const beforeMs = 60
const afterMs = 120
/** Grants are made in lots, so that credentials (5 minutes) outlive their lot. */
const lot = 100

interface Withdrawn extends Granted {
  acknowledgedAt: number
  lastAllow: number
}

/** How long after a person was told that a task is withdrawn any decision point still says ALLOW (V7). */
export async function measureKafkaWithdrawal(bench: KafkaBench): Promise<Measure> {
  const { quick, progress } = bench
  const count = quick ? 20 : 1000
  await using world = await bench.open(quick ? 1 : 3)
  const urls = world.system.processes['policy-decision'].map(({ url }) => url)
  const withdrawn: Withdrawn[] = []
  const tally = { asked: 0, allowed: 0, late: 0, ms: 0 }

  while (withdrawn.length < count) {
    progress(`withdrawal: ${withdrawn.length} of ${count}`)
    const grants = (await world.grants(Math.min(lot, count - withdrawn.length))).map(
      (grant): Withdrawn => ({ ...grant, acknowledgedAt: Number.POSITIVE_INFINITY, lastAllow: 0 }),
    )
    const [busy] = await world.grants(1)
    const aim: { grant: Withdrawn | undefined } = { grant: undefined }
    const pending = new Set<Promise<void>>()
    const call = async (n: number) => {
      const target = n % 2 === 0 ? aim.grant : undefined
      tally.asked += 1
      const url = urls[Math.floor(n / 2) % urls.length] as string
      const called = await world.call(url, (target ?? busy)?.token ?? '')
      if (called.decision) {
        tally.allowed += 1
        if (target) target.lastAllow = performance.now()
      } else if (isLate(called)) tally.late += 1
      else if (called.reason !== 'grant_revoked') throw new Error(`denied: ${called.reason}`)
    }
    // An open loop: a decision point that is slow is asked as often as one that is quick.
    let running = true
    const failures: unknown[] = []
    const started = performance.now()
    const asking = (async () => {
      for (let n = 0; running; n++) {
        const asked = call(n)
          .catch((error: unknown) => void failures.push(error))
          .finally(() => pending.delete(asked))
        pending.add(asked)
        await setTimeout(Math.max(0, started + ((n + 1) * 1000) / perSecond - performance.now()))
      }
    })()
    for (const grant of grants) {
      aim.grant = grant
      await setTimeout(beforeMs)
      await world.approver.withdraw(grant.requestId)
      grant.acknowledgedAt = performance.now()
      await setTimeout(afterMs)
    }
    running = false
    await asking
    await Promise.all(pending)
    tally.ms += performance.now() - started
    if (failures.length > 0) throw failures[0]
    withdrawn.push(...grants)
  }

  const lags = withdrawn.map(({ lastAllow, acknowledgedAt }) => Math.max(0, lastAllow - acknowledgedAt))
  return {
    id: 'kafka-withdrawal',
    title: 'Kafka and Redis: from an acknowledged withdrawal to the last ALLOW',
    how:
      `${count} grants withdrawn at the console one after the other, on ${quick ? 'one broker' : 'three brokers'}, while two ` +
      `policy-decision instances are asked ${perSecond} times a second, every second call under the grant that is being ` +
      `withdrawn, from ${beforeMs} ms before until ${afterMs} ms after the answer, and whatever is then on its way. The clock ` +
      'starts when the console has answered, and an ALLOW counts when its answer is here. V7 allows 1 s.',
    rows: [
      { name: 'acknowledged → last ALLOW, p50', value: median(lags), unit: 'ms' },
      { name: 'acknowledged → last ALLOW, p99', value: percentile(lags, 0.99), unit: 'ms', target: { atMost: 250 } },
      { name: 'acknowledged → last ALLOW, max', value: Math.max(...lags), unit: 'ms', target: { atMost: 1000 } },
      { name: 'asked meanwhile', value: (tally.asked * 1000) / tally.ms, unit: '/s' },
      { name: 'ALLOWs meanwhile', value: (tally.allowed * 1000) / tally.ms, unit: '/s' },
      { name: 'denied for being late', value: tally.late, unit: '' },
    ],
  }
}
