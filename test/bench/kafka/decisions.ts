import { inFlight, type Measure, median, percentile, perSecond, type Row } from '../measure.ts'
import type { Granted } from '../world.ts'
import { brokers, nameOf } from './brokers.ts'
import type { KafkaBench } from './worlds.ts'

const trees = 16
const width = 64

/** What two decision points decide together, and one alone. */
export async function measureKafkaDecisions(bench: KafkaBench): Promise<Measure> {
  const rows: Row[] = []
  for (const nodes of brokers(bench)) rows.push(...(await onBrokers(bench, nodes)))
  return {
    id: 'kafka-decisions',
    title: 'Kafka and Redis: decisions',
    how:
      `Calls of an agent under ${trees} grants, ${width} in flight over HTTP at the policy-decision instances themselves, in ` +
      'turn, each with a new proof that the client signs meanwhile. Kafka with TLS, SCRAM and ACLs, Redis, all four services, ' +
      'and the client share the cores of this machine, so a second instance adds what it leaves idle and no more.',
    rows,
  }
}

async function onBrokers(bench: KafkaBench, nodes: 1 | 3): Promise<Row[]> {
  const { quick, progress } = bench
  const name = nameOf(nodes)
  progress(`decisions: ${name}`)
  await using world = await bench.open(nodes)
  const grants = await world.grants(trees)
  const points = world.system.processes['policy-decision']
  const run = async (urls: readonly string[], count: number) => {
    let late = 0
    const measured = await inFlight(width, count, async (n) => {
      const { token } = grants[n % trees] as Granted
      late += await world.allowedOrLate(urls[n % urls.length] as string, token)
    })
    return { ...measured, late }
  }
  const rowsOf = async (instances: string, urls: readonly string[]): Promise<Row[]> => {
    const count = quick ? 256 : 6000
    await run(urls, quick ? 128 : 1000)
    const { each, totalMs, late } = await run(urls, count)
    const what = `${name}, ${instances}`
    return [
      { name: what, value: perSecond(count - late, totalMs), unit: '/s' },
      { name: `${what}, p50`, value: median(each), unit: 'ms' },
      { name: `${what}, p99`, value: percentile(each, 0.99), unit: 'ms' },
      { name: `${what}, denied for being late`, value: late, unit: '' },
    ]
  }
  const two = await rowsOf(
    'two instances',
    points.map(({ url }) => url),
  )
  const [first, second] = points
  await second?.stop() // otherwise it would continue to fold the other's decisions
  return [...(await rowsOf('one instance', first ? [first.url] : [])), ...two]
}
