import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { embeddedBus } from '@bailiwick/bus/embedded'
import { services } from '@bailiwick/contracts'
import { topicSettings } from '@bailiwick/host/process'
import { paths } from '@bailiwick/installation'
import { systemClock } from '@bailiwick/kit'
import { readDecision, writeHistory } from './kafka/history.ts'
import type { Bench, Measure, Row } from './measure.ts'
import { World } from './world.ts'

const trees = 50
const run = promisify(execFile)

/** What `start-main.ts` prints. */
interface Start {
  ms: number
  cpuMs: number
  threadMs: number
  events: number
  decisions: number
  rss: number
  /** What it began with. */
  snapshot?: { ageMs: number } | { refused: string }
}

/** What it prints at its end. */
interface Written {
  written: { bytes: number; tookMs: number; longestMs: number }
}

/** How long each service reads until its state is folded, and what that costs an event. */
export async function measureStart(bench: Bench): Promise<Measure> {
  const count = bench.count ?? (bench.quick ? 500 : 100_000)
  const data = await written(bench, count)
  const rows: Row[] = []
  for (const service of services) {
    bench.progress(`start: ${service}`)
    const { start, written } = await started(data, service)
    const reads = service === 'policy-decision' || service === 'approval'
    if (reads && start.decisions < count) throw new Error(`${service} knows ${start.decisions} decisions of ${count}`)
    rows.push({ name: service, value: start.ms / 1000, unit: 's' })
    if (!reads) continue
    const { start: again } = await started(data, service)
    if (again.decisions !== start.decisions || !again.snapshot || 'refused' in again.snapshot)
      throw new Error(`${service} began with ${JSON.stringify(again.snapshot)}: ${again.decisions} decisions`)
    rows.push(
      { name: `${service}, from its snapshot`, value: again.ms / 1000, unit: 's' },
      { name: `${service}, size of its snapshot`, value: written.bytes / 2 ** 20, unit: 'MiB' },
      { name: `${service}, longest pause while it writes one`, value: written.longestMs, unit: 'ms' },
    )
    rows.push(
      { name: `${service}, CPU an event`, value: (start.cpuMs * 1000) / start.events, unit: 'µs' },
      { name: `${service}, CPU an event on its own thread`, value: (start.threadMs * 1000) / start.events, unit: 'µs' },
      { name: `${service}, resident memory then`, value: start.rss / 2 ** 20, unit: 'MiB' },
    )
  }
  return {
    id: 'start',
    title: 'Start',
    how:
      `What each service reads from the embedded bus, until everything is folded, after ${count.toLocaleString('en-US')} ` +
      `decisions under ${trees} live grants, each with its outcome: ${(2 * count).toLocaleString('en-US')} events, signed, ` +
      'numbered and chained with the key of policy-decision. Each in a process of its own, whose own start is not counted. ' +
      'Signatures are verified in other threads, which is why the CPU of the whole process is more than that of its thread. ' +
      'Evidence and issuer read no decisions. The second start of a service begins with the snapshot that the first one left; ' +
      'the pause is the longest time for which writing it kept the process from everything else.',
    rows,
  }
}

/** One start of the service, which begins with the snapshot of the one before it, if there was one. */
async function started(data: string, service: string): Promise<{ start: Start; written: Written['written'] }> {
  const snapshot = join(data, 'bench-snapshots', service)
  const main = join(import.meta.dirname, 'start-main.ts')
  const { stdout } = await run(process.execPath, [main, data, service, snapshot])
  const [first = '', last = '{}'] = stdout.trim().split('\n')
  return { start: JSON.parse(first) as Start, written: (JSON.parse(last) as Written).written }
}

/** A data directory with that many decisions, from a system that has ended. */
async function written({ dir, progress }: Bench, count: number): Promise<string> {
  const { grants, decisionId, ...system } = await decided(dir)
  const now = () => systemClock.now()
  await using bus = await embeddedBus({ dir: paths(system.data).bus, ...topicSettings, now })
  const like = await readDecision(bus, decisionId)
  const write = (done: number) => progress(`start: ${done} of ${count} decisions written`)
  await writeHistory({ bus, system, like, grants, count, progress: write })
  return system.data
}

async function decided(dir: string) {
  await using world = await World.open(dir)
  const grants = [await world.grant()]
  while (grants.length < trees) grants.push(await world.grant())
  const [first] = grants
  const answer = first && (await world.system.services.policyDecision.decide(world.point, world.evaluation(first)))
  if (!answer?.decision) throw new Error(`denied: ${answer?.reason}`)
  const { data, trust } = world.system
  return { data, trust, grants, decisionId: answer.decisionId }
}
