import { type ServiceName, services } from '@bailiwick/contracts'
import { inFlight, type Measure, type Row } from '../measure.ts'
import type { Granted } from '../world.ts'
import { residentMiB } from './resident.ts'
import type { KafkaBench } from './worlds.ts'

const trees = 16
const width = 64
/** A credential lives five minutes: each round takes new ones. */
const round = 10_000

/** The memory of each process after many decisions, which shows anything that it keeps for ever. */
export async function measureKafkaMemory(bench: KafkaBench): Promise<Measure> {
  const { quick, progress } = bench
  const count = bench.count ?? (quick ? 1000 : 100_000)
  await using world = await bench.open(1)
  const { processes } = world.system
  const instances = services.flatMap((service) => processes[service].map((process, n) => ({ service, n, process })))
  const measured = () => instances.map(({ process }) => residentMiB(process.pid))
  const urls = processes['policy-decision'].map(({ url }) => url)
  const grants = await world.grants(trees)
  const run = async (calls: number) => {
    const tokens = await Promise.all(grants.map(({ grantId }: Granted) => world.token(grantId)))
    await inFlight(width, calls, (n) =>
      world.allowedOrLate(urls[n % urls.length] as string, tokens[n % trees] as string),
    )
  }
  const before = measured()
  const at: number[][] = []
  for (let done = 0; done < count; done += round) {
    progress(`memory: ${done} of ${count}`)
    await run(Math.min(round, count - done))
    at.push(measured())
  }
  const after = at.at(-1) ?? before
  const half = at[Math.floor(at.length / 2) - 1]
  return {
    id: 'kafka-memory',
    title: 'Kafka and Redis: memory of each process',
    how:
      `Resident memory (VmRSS) of each process before and after ${count.toLocaleString('en-US')} decisions under ${trees} grants ` +
      `that live on, ${width} in flight; no outcome is reported, so each decision is followed by an \`outcome.missing\` a ` +
      'minute later. What a decision point keeps of a decision it keeps until an hour after its grant has ended: whether a call ' +
      'id or a decision was there before decides what counts.',
    rows: instances.flatMap(({ service, n }, i): Row[] => {
      const name = nameOf(service, n, processes[service].length)
      return [
        { name: `${name}, before`, value: before[i] as number, unit: 'MiB' },
        ...(half ? [{ name: `${name}, after half of them`, value: half[i] as number, unit: 'MiB' } as const] : []),
        { name: `${name}, after`, value: after[i] as number, unit: 'MiB' },
      ]
    }),
  }
}

const nameOf = (service: ServiceName, n: number, of: number) => (of === 1 ? service : `${service} ${n + 1}`)
