import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { paths } from '@bailiwick/installation'
import { cpuMs } from './cpu-time.ts'
import { type Calling, timesAt } from './gateway/calls.ts'
import { Before, runStandalone } from './gateway.ts'
import { ownMiB } from './kafka/resident.ts'
import { type Bench, type Measure, percentile, type Row } from './measure.ts'

/** Calls a second. */
export const rates = [10, 50, 100] as const
/** The log and its index are behind the calls by some seconds. */
const settledMs = 10_000

/** Measures the CPU time, memory and disk of an installation of one process, with a gateway beside it. */
export async function measureSizing(bench: Bench): Promise<Measure> {
  await using before = await Before.prepare(bench, 0, 0)
  await using running = await runStandalone(bench.dir, before)
  const { calls } = await before.open(running)
  const { bus, evidence } = paths(running.data)
  const [pid = 0] = running.pids
  const rows = await sizingRows(bench, calls, {
    processes: [{ name: 'services', pid }],
    folders: { bus: [bus], evidence: [evidence] },
  })
  return {
    id: 'sizing',
    title: 'What a call takes',
    how: howOf('All services are one process on the embedded bus.'),
    rows,
  }
}

export const howOf = (services: string) =>
  `Calls of an MCP tool through one gateway, at each rate for 30 s, by 8 agents with a grant each; every call is decided, and reports its outcome. ${services} ` +
  'Cores: CPU time, user and system, by the clock. Memory: RssAnon at the end, which is the process’s own. Disk: what the folders grew by, divided by all calls, ten seconds after the last. ' +
  '[Sizing](../operate/sizing.md) computes from it what an installation needs.'

interface Measured {
  processes: readonly { name: string; pid: number }[]
  /** By what they hold. */
  folders: Readonly<Record<string, readonly string[]>>
}

export async function sizingRows(bench: Bench, calls: Calling, { processes, folders }: Measured): Promise<Row[]> {
  const seconds = bench.quick ? 2 : 30
  const all = [{ name: 'gateway', pid: calls.gateway.pid }, ...processes]
  const rows: Row[] = []
  await timesAt(50, bench.quick ? 1 : 10, calls) // compiled, as it will be for hours
  const held = () => Object.entries(folders).map(([name, each]) => ({ name, bytes: each.map(bytesIn).reduce(sum, 0) }))
  const first = held()
  let count = 0
  for (const rate of rates) {
    bench.progress(`sizing: ${rate} calls a second`)
    const spent = all.map(({ pid }) => cpuMs(pid))
    const times = await timesAt(rate, seconds, calls)
    count += times.length
    rows.push(
      ...all.map(({ name, pid }, n): Row => {
        // By the time in which the calls were due: between the lots their proofs are signed, and the processes rest.
        return { name: `${rate}/s: ${name}`, value: (cpuMs(pid) - (spent[n] ?? 0)) / (seconds * 1000), unit: 'cores' }
      }),
      { name: `${rate}/s: answered, p50`, value: percentile(times, 0.5), unit: 'ms' },
      { name: `${rate}/s: answered, p99`, value: percentile(times, 0.99), unit: 'ms' },
    )
  }
  await setTimeout(bench.quick ? 0 : settledMs)
  const last = held()
  return [
    ...rows,
    ...all.map(({ name, pid }): Row => ({ name: `memory: ${name}`, value: ownMiB(pid), unit: 'MiB' })),
    ...last.map(({ name, bytes }, n): Row => {
      return { name: `disk for a call: ${name}`, value: (bytes - (first[n]?.bytes ?? 0)) / count, unit: 'bytes' }
    }),
  ]
}

/** Counts blocks, because the files may have holes. */
function bytesIn(dir: string): number {
  return (
    readdirSync(dir, { recursive: true, encoding: 'utf8' })
      .map((name) => statSync(join(dir, name), { throwIfNoEntry: false })?.blocks ?? 0)
      .reduce(sum, 0) * 512
  )
}

const sum = (a: number, b: number) => a + b
