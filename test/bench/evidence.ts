import { join } from 'node:path'
import { benchLog, type LogBenchResult } from './log.ts'
import { type Bench, inFlight, type Measure, percentile, type Row } from './measure.ts'
import { eventBytes } from './publish.ts'
import { type Evaluation, World } from './world.ts'

const writers = [1, 256, 1024]
const width = 64

/**
 * The rate at which the log accepts entries, next to the disk's own rate, and the time from an event on the bus to a
 * checkpoint that covers it.
 */
export async function measureEvidence(bench: Bench): Promise<Measure> {
  const { dir, quick, progress } = bench
  const runs = new Map<number, LogBenchResult>()
  for (const each of writers) {
    progress(`evidence: ${each} writers`)
    const place = { dir: join(dir, `log-${each}`), acks: join(dir, `acks-${each}`) }
    runs.set(each, await benchLog({ writers: each, seconds: quick ? 1 : 20, size: eventBytes, ...place }))
  }
  const rate = (each: number) => runs.get(each)?.entriesPerSecond ?? Number.NaN
  const alone = runs.get(1)
  const covered = await coveredAfter(bench)
  const fdatasyncMs = alone?.fdatasyncMs ?? Number.NaN
  return {
    id: 'evidence',
    title: 'The evidence log',
    how:
      `Entries of ${eventBytes} bytes appended by the code that the evidence service runs (\`bailiwick bench log\`), each writer with one on ` +
      'its way: acknowledged when it is durable and has its index; the rate is that until all are under a checkpoint. Then a system under load ' +
      `(${width} decisions in flight): from an event's time on the bus until it is under a published checkpoint and can be found.`,
    rows: [
      { name: 'append + fdatasync, p50', value: fdatasyncMs, unit: 'ms' },
      ...writers.map((each): Row => ({ name: `${each} writers, entries`, value: rate(each), unit: '/s' })),
      { name: '1 writer, p50', value: alone?.p50Ms ?? Number.NaN, unit: 'ms' },
      {
        name: '1 writer: an append ÷ fdatasync',
        value: 1000 / rate(1) / fdatasyncMs,
        unit: '×',
        target: { atMost: 3 },
      },
      {
        name: '1 writer: flushes of files an append',
        value: alone?.flushes ?? Number.NaN,
        unit: '',
        target: { atMost: 3 },
      },
      { name: '1,024 writers ÷ 1 writer', value: rate(1024) / rate(1), unit: '×', target: { atLeast: 30 } },
      ...memoryRows(runs.get(1024)),
      { name: 'published → covered, p50', value: percentile(covered, 0.5), unit: 'ms' },
      { name: 'published → covered, p99', value: percentile(covered, 0.99), unit: 'ms', target: { atMost: 2000 } },
    ],
  }
}

function memoryRows(run: LogBenchResult | undefined): Row[] {
  const [first, last] = [run?.memory.at(0), run?.memory.at(-1)]
  if (first === undefined || last === undefined) return []
  return [first, last].map(({ entries, mib }) => ({
    name: `memory after ${entries.toLocaleString('en-US')} entries`,
    value: mib,
    unit: 'MiB',
  }))
}

/** ms from each decision's time on the bus to its checkpoint, under load. */
async function coveredAfter({ dir, quick, progress }: Bench): Promise<number[]> {
  progress('evidence: a system under load')
  await using world = await World.open(dir)
  const { services, bus } = world.system
  const grant = await world.grant()
  const covered: Promise<number>[] = []
  await using follower = await bus.follow(['decisions.v1'], 'start', async (batch) => {
    for (const { bytes, timestamp } of batch) {
      const { id } = JSON.parse(Buffer.from(bytes).toString())
      covered.push(services.evidence.integrated(id, 30_000).then(() => Date.now() - timestamp))
    }
  })
  await follower.caughtUp
  covered.length = 0
  await inFlight(width, quick ? 128 : 5000, async () =>
    services.policyDecision.decide(world.point, world.evaluation(grant) as Evaluation),
  )
  return Promise.all(covered)
}
