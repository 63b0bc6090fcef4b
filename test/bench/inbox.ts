import { type Bench, inFlight, type Measure, median, percentile, type Row, timed } from './measure.ts'
import { readRequest, writeRequests } from './requests.ts'
import { World } from './world.ts'

const pagesOf = (quick: boolean) => (quick ? 5 : 200)
const together = 8

interface Page {
  items: unknown[]
  next?: string | null
  pending: number
}

/** Whether a person still finds something when very many requests wait. */
export async function measureInbox({ dir, quick, progress }: Bench): Promise<Measure> {
  const count = quick ? 300 : 10_000
  await using world = await World.open(dir)
  const { approver, system } = world
  const { requestId } = await world.agent().request(world.ask())
  const bus = system.host.bus
  const like = await readRequest(bus, requestId)
  const key = system.host.key('approval', 'event', 'approval-event')
  await writeRequests({ bus, key, like, count: count - 1, progress: (n) => progress(`inbox: ${n} written`) })
  for (let pending = 0; pending < count; ) pending = (await approver.get<Page>('/console/api/requests')).pending

  const reads = pagesOf(quick)
  const first = await eachOf(reads, () => approver.get('/console/api/requests'))
  // Page by page, from the beginning to the end, and again.
  let next: string | null | undefined
  const pages = await eachOf(reads, async () => {
    const cursor = next ? `?cursor=${encodeURIComponent(next)}` : ''
    next = (await approver.get<Page>(`/console/api/requests${cursor}`)).next
  })
  const searched = await eachOf(reads, (n) => approver.get(`/console/api/requests?q=nobody-asks-for-this-${n}`))
  const busy = await inFlight(together, reads, () => approver.get('/console/api/requests'))
  const rows = (name: string, each: readonly number[]): Row[] => [
    { name: `${name}, p50`, value: median(each), unit: 'ms' },
    { name: `${name}, p99`, value: percentile(each, 0.99), unit: 'ms' },
  ]
  return {
    id: 'inbox',
    title: 'The inbox, with very many pending requests',
    how:
      `${count.toLocaleString('en-US')} requests wait, written with the key of approval as it would have written them. \`GET /console/api/requests\` over HTTP ` +
      `by a person who is signed in, ${reads} times each: the first page (riskiest first), page after page by its cursor, a search for words that are nowhere, ` +
      `and the first page ${together} at a time. Client and the four services share one process and one thread.`,
    rows: [
      ...rows('first page', first),
      ...rows('page after page', pages),
      ...rows('a search that finds nothing', searched),
      ...rows(`first page, ${together} at a time`, busy.each),
    ],
  }
}

async function eachOf(count: number, read: (n: number) => Promise<unknown>): Promise<number[]> {
  const each: number[] = []
  for (let n = 0; n < count; n++) each.push(await timed(() => read(n)))
  return each
}
