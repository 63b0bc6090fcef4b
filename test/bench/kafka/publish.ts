import { randomBytes } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import type { Bus } from '@bailiwick/bus'
import { kafkaAdmin, kafkaBus } from '@bailiwick/bus/kafka'
import { kafkaTopics } from '@bailiwick/contracts'
import { logger as makeLogger } from '@bailiwick/host'
import { startKafka } from '@bailiwick/native'
import { type Bench, inFlight, type Measure, median, percentile, perSecond, type Row, timed } from '../measure.ts'
import { eventBytes } from '../publish.ts'
import { brokers, nameOf } from './brokers.ts'

const topic = 'decisions.v1'
const atOnce = 256

/** The cost of a broker's acknowledgement, how well many writers share it, and how soon a reader has the event. */
export async function measureKafkaPublish(bench: Bench): Promise<Measure> {
  const rows: Row[] = []
  for (const nodes of brokers(bench)) rows.push(...(await onBrokers(bench, nodes)))
  return {
    id: 'kafka-publish',
    title: 'Kafka: a durable publish, and following it',
    how:
      `Events of ${eventBytes} bytes over 16 keys on \`${topic}\` as it is declared, \`acks=all\`, no TLS: one at a time, then ` +
      `with ${atOnce} publishes in flight; then one every few ms, until a follower of the same process has it. Brokers run on ` +
      'this very machine; three of them keep three copies each, of which two must answer. Kafka acknowledges what its page ' +
      'cache has, not what its disk has: what the copies are for.',
    rows,
  }
}

async function onBrokers({ quick, progress }: Bench, nodes: 1 | 3): Promise<Row[]> {
  const name = nameOf(nodes)
  progress(`publish: ${name}`)
  await using kafka = await startKafka({ nodes })
  const connection = { brokers: kafka.brokers, clientId: 'bench' }
  {
    await using admin = await kafkaAdmin(connection)
    await admin.applyTopics(kafkaTopics({ dev: nodes === 1 }).filter((one) => one.name === topic))
  }
  await using bus = await kafkaBus({ connection, logger: makeLogger({ service: 'bench', level: 'silent' }) })
  const bytes = Buffer.from(randomBytes(eventBytes).toString('base64').slice(0, eventBytes))
  const publish = (n: number) => bus.publish(topic, [{ key: `grt_${n % 16}`, bytes }])
  await inFlight(atOnce, quick ? 512 : 20_000, publish)
  const samples = quick ? 100 : 2000
  const shared = quick ? 2048 : 50_000
  const alone = await inFlight(1, samples, publish)
  const together = await inFlight(atOnce, shared, publish)
  const lags = await untilFollowed(bus, bytes, quick ? 50 : 1000)
  const aloneRate = perSecond(samples, alone.totalMs)
  const togetherRate = perSecond(shared, together.totalMs)
  return [
    { name: `${name}: publish, p50`, value: median(alone.each), unit: 'ms' },
    { name: `${name}: publish, p99`, value: percentile(alone.each, 0.99), unit: 'ms' },
    { name: `${name}: one at a time`, value: aloneRate, unit: '/s' },
    { name: `${name}: ${atOnce} at once`, value: togetherRate, unit: '/s' },
    {
      name: `${name}: ${atOnce} at once ÷ one at a time`,
      value: togetherRate / aloneRate,
      unit: '×',
      target: { atLeast: 15 },
    },
    { name: `${name}: publish → followed, p50`, value: median(lags), unit: 'ms' },
    { name: `${name}: publish → followed, p99`, value: percentile(lags, 0.99), unit: 'ms' },
  ]
}

/** ms from the call of publish until a follower's handler has the event. */
async function untilFollowed(bus: Bus, bytes: Uint8Array, samples: number): Promise<number[]> {
  const followed = new Map<string, () => void>()
  const early = new Set<string>()
  const arrived = (place: string) => {
    const waiting = followed.get(place)
    if (waiting) waiting()
    else early.add(place)
  }
  await using subscription = await bus.follow([topic], { time: Date.now() }, async (batch) => {
    for (const { partition, offset } of batch) arrived(`${partition}/${offset}`)
  })
  await subscription.caughtUp
  const lags: number[] = []
  for (let n = 0; n < samples; n++) {
    lags.push(
      await timed(async () => {
        const [position] = await bus.publish(topic, [{ key: `grt_${n % 16}`, bytes }])
        const place = `${position?.partition}/${position?.offset}`
        if (early.delete(place)) return
        await new Promise<void>((resolve) => followed.set(place, resolve))
        followed.delete(place)
      }),
    )
    await setTimeout(2)
  }
  return lags
}
