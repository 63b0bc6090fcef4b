import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { embeddedBus } from '@bailiwick/bus/embedded'
import { topicSettings } from '@bailiwick/host/process'
import { type Bench, inFlight, type Measure, median, percentile, perSecond, timed } from './measure.ts'
import { AppendedFile } from './physical.ts'

/** About the size of a decision. */
export const eventBytes = 1500
const topic = 'decisions.v1'
const atOnce = 256

/** The cost of durability relative to the disk's own, and how well many writers share it. */
export async function measurePublish({ dir, quick, progress }: Bench): Promise<Measure> {
  const samples = quick ? 50 : 1000
  const shared = atOnce * (quick ? 4 : 100)
  await using bus = await embeddedBus({ dir: join(dir, 'bus'), ...topicSettings, now: Date.now })
  using file = new AppendedFile(dir)
  const bytes = Buffer.from(randomBytes(eventBytes).toString('base64').slice(0, eventBytes))
  const publish = (n: number) => bus.publish(topic, [{ key: `grt_${n % 16}`, bytes }])
  for (let n = 0; n < 20; n++) await publish(n)

  // Taken in turns, so that other work on the disk affects both.
  const syncs: number[] = []
  const publishes: number[] = []
  for (let n = 0; n < samples; n++) {
    if (n % 100 === 0) progress(`publish: ${n} of ${samples}`)
    syncs.push(await timed(() => file.append(bytes)))
    publishes.push(await timed(() => publish(n)))
  }
  progress(`publish: ${atOnce} at once`)
  const alone = await inFlight(1, samples, publish)
  const together = await inFlight(atOnce, shared, publish)
  const aloneRate = perSecond(samples, alone.totalMs)
  const togetherRate = perSecond(shared, together.totalMs)
  return {
    id: 'publish',
    title: 'A durable publish on the embedded bus',
    how:
      `${samples} events of ${eventBytes} bytes published one at a time, in turns with an append and fdatasync of the same ` +
      `bytes to a plain file on the same disk; then ${shared} events with ${atOnce} publishes in flight. lmdb flushes twice ` +
      'a commit (fdatasync of the pages, then a write-through of the page that makes them count), so 2 × is its floor.',
    rows: [
      { name: 'append + fdatasync, p50', value: median(syncs), unit: 'ms' },
      { name: 'publish, p50', value: median(publishes), unit: 'ms' },
      { name: 'publish, p99', value: percentile(publishes, 0.99), unit: 'ms' },
      { name: 'publish ÷ fdatasync', value: median(publishes) / median(syncs), unit: '×', target: { atMost: 2.5 } },
      { name: 'one at a time', value: aloneRate, unit: '/s' },
      { name: `${atOnce} at once`, value: togetherRate, unit: '/s' },
      {
        name: `${atOnce} at once ÷ one at a time`,
        value: togetherRate / aloneRate,
        unit: '×',
        target: { atLeast: 20 },
      },
    ],
  }
}
