import { cpuMs } from '../cpu-time.ts'
import { inFlight, median, percentile, perSecond, type Row } from '../measure.ts'
import { Load, paced } from '../pdp/load.ts'

/** One way to the upstream. */
export interface Way {
  name: string
  url: string
  /** Requests for it, ready to send. Send them within a minute. */
  requests(count: number): Promise<readonly Buffer[]>
  /** Whether the upstream's own answer came, or a denial because a busy machine was late. Throws for anything else. */
  outcomeOf(status: number, body: string): 'answered' | 'late'
  /** The program that stands in the way, and what it asks. */
  pids: readonly number[]
  services?: readonly number[]
  /** Told of every answer. */
  answered(): void
}

/** The steady rate, in calls a second: LiteLLM's proxy must keep up with it beside everything else on two cores. */
const rate = 50
const rounds = 5
const roundSeconds = 10
const connections = 64
const lot = 500

/** What each way adds to a call over the first, which is direct, at a steady rate. They take turns. */
export async function addedRows(ways: readonly Way[], { quick, progress }: Measuring): Promise<Row[]> {
  const count = quick ? 20 : rate * roundSeconds
  for (const way of ways) await sent(way, quick ? 10 : 300, (n, task) => paced(rate, n, task))
  const times = new Map<Way, number[][]>(ways.map((way) => [way, []]))
  let late = 0
  for (let round = 0; round < (quick ? 1 : rounds); round++)
    for (const way of ways) {
      progress(`gateway: round ${round + 1}, ${way.name} at ${rate}/s`)
      const run = await sent(way, count, (n, task) => paced(rate, n, task))
      times.get(way)?.push(run.result)
      late += run.late
    }
  const [direct, ...others] = ways
  if (direct === undefined) return []
  const of = (way: Way, round: number, share: number) => percentile(times.get(way)?.[round] ?? [], share)
  const added = (way: Way, share: number, over = direct) =>
    median((times.get(way) ?? []).map((_, round) => of(way, round, share) - of(over, round, share)))
  const at = (name: string) => `${rate}/s: ${name}`
  const all = times.get(direct)?.flat() ?? []
  const [first, gateway, third] = others
  return [
    { name: at('direct, p50'), value: median(all), unit: 'ms' },
    { name: at('direct, p99'), value: percentile(all, 0.99), unit: 'ms' },
    ...others.flatMap((way): Row[] => [
      { name: at(`added by ${way.name}, p50`), value: added(way, 0.5), unit: 'ms' },
      { name: at(`added by ${way.name}, p99`), value: added(way, 0.99), unit: 'ms' },
    ]),
    ...(first === undefined || gateway === undefined
      ? []
      : ([
          {
            name: at(`the gateway over ${first.name}, p50`),
            value: added(gateway, 0.5, first),
            unit: 'ms',
            target: { atMost: 2 },
          },
          { name: at(`the gateway over ${first.name}, p99`), value: added(gateway, 0.99, first), unit: 'ms' },
        ] satisfies Row[])),
    ...(gateway === undefined || third === undefined
      ? []
      : ([
          {
            name: at(`added by ${third.name}, as a multiple of the gateway's, p50`),
            value: added(third, 0.5) / added(gateway, 0.5),
            unit: '×',
            target: { atLeast: 5 },
          },
          {
            name: at(`added by ${third.name}, as a multiple of the gateway's, p99`),
            value: added(third, 0.99) / added(gateway, 0.99),
            unit: '×',
          },
        ] satisfies Row[])),
    { name: at('denied for being late'), value: late, unit: '' },
  ]
}

/** As many calls as go through each way, and how many one core of it would take. */
export async function saturatedRows(ways: readonly Way[], { quick, progress }: Measuring): Promise<Row[]> {
  const rows: Row[] = []
  for (const way of ways) {
    progress(`gateway: ${way.name}, saturated`)
    const runs: { result: { each: number[]; totalMs: number }; late: number; ms: number; servicesMs: number }[] = []
    for (let round = 0; round < (quick ? 1 : 3); round++)
      runs.push(await sent(way, quick ? connections : lot, (n, task) => inFlight(connections, n, task)))
    const by = (ms: (run: (typeof runs)[number]) => number) =>
      median(runs.map((run) => perSecond(run.result.each.length - run.late, ms(run))))
    const at = `${connections} in flight: ${way.name}`
    rows.push({ name: at, value: by(({ result }) => result.totalMs), unit: '/s' })
    if (way.pids.length > 0) rows.push({ name: `${at}, of a core`, value: by(({ ms }) => ms), unit: '/s' })
    if (way.services !== undefined)
      rows.push({ name: `${at}, of a core of the services`, value: by(({ servicesMs }) => servicesMs), unit: '/s' })
  }
  return rows
}

export interface Measuring {
  quick: boolean
  progress: (line: string) => void
}

/** Each turn has new connections: servers close those that were idle meanwhile. */
async function sent<T>(
  way: Way,
  count: number,
  send: (count: number, task: (n: number) => Promise<unknown>) => Promise<T>,
): Promise<{ result: T; late: number; ms: number; servicesMs: number }> {
  const requests = await way.requests(count)
  using load = await Load.open(way.url, connections)
  const before = [cpuOf(way.pids), cpuOf(way.services ?? [])] as const
  let late = 0
  const result = await send(count, async (n) => {
    const { status, body } = await load.ask(requests[n % requests.length] as Buffer)
    if (way.outcomeOf(status, body) === 'answered') way.answered()
    else late++
  })
  // A clock of 10 ms: a run of a few calls may show none.
  const used = (pids: readonly number[], from: number) => Math.max(10, cpuOf(pids) - from)
  return { result, late, ms: used(way.pids, before[0]), servicesMs: used(way.services ?? [], before[1]) }
}

const cpuOf = (pids: readonly number[]): number => pids.reduce((sum, pid) => sum + cpuMs(pid), 0)
