import { loadavg, setPriority } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'
import { lacks } from '@bailiwick/native'
import { describe, expect, it } from 'vitest'
import { busyMachine } from '../../busy-machine.ts'
import { Play, readyWithinMs } from './play.ts'

/** Processes that never wait, beside the system: with it, a load of about 30. */
const busy = Number(process.env.BAILIWICK_BUSY ?? 26)
const rounds = Number(process.env.BAILIWICK_COUNT ?? 1)
const goesOnWithinMs = 60_000
/** For how long calls are counted between two faults. */
const countedMs = 20_000

/**
 * The agents, their API and what stands before the services run in the process of this test. They stand for other machines, so they go first: else
 * it would be the test's own shortage of time that is measured. Only root may do this.
 */
const goFirst = () => setPriority(process.getuid?.() === 0 ? -10 : 0)
/** Starts what does not: a process inherits this from the one that starts it. */
async function startBehind(start: () => unknown): Promise<void> {
  setPriority(0)
  await start()
  goFirst()
}

/** Answers that came too late to be of use, or not at all. What was shed is refused early, and says when to try again. */
const expired = new Set(['deadline_exceeded', 'pdp_unavailable', 'outcome_unknown', 'service_unreachable'])
const shed = new Set(['queue_full', 'rate_limited', 'decision_quota_exceeded'])

/** What became of the calls since the last time, by code. */
function counter({ acknowledged: { allows, refusals } }: Play) {
  const now = () => new Map([...refusals, ['allowed', allows.size]])
  let last = now()
  return (): Map<string, number> => {
    const [before, after] = [last, now()]
    last = after
    return new Map([...after].map(([code, times]) => [code, times - (before.get(code) ?? 0)] as const))
  }
}

const sum = (calls: ReadonlyMap<string, number>, counts: (code: string) => boolean): number =>
  [...calls].reduce((total, [code, times]) => total + (counts(code) ? times : 0), 0)

// Only for the night: vitest.config.ts leaves this file out otherwise.
describe.skipIf(lacks('secure-kafka', 'redis'))(`on a machine with ${busy} processes that never wait`, () => {
  it(`all goes on within ${goesOnWithinMs / 1000} s of every fault, no process ends, and nothing is lost (V2, V4, V7, V9, V10)`, {
    timeout: rounds * 3_600_000,
  }, async () => {
    await using play = await Play.open()
    const { kafka, redis } = play.system
    const late: string[] = []
    let [answered, lost] = [0, 0]
    const load = () => loadavg()[0]?.toFixed(1)
    const count = counter(play)
    const after = async (fault: string, happen: () => Promise<unknown>) => {
      await happen()
      const ms = await play.goesOn(readyWithinMs * 4)
      if (ms > goesOnWithinMs) late.push(`${fault}: ${ms} ms`)
      console.log(`starved: ${fault}: a call allowed again after ${ms} ms, at load ${load()}`)
      await pause(5000)
      count()
      await pause(countedMs)
      const calls = count()
      lost += sum(calls, (code) => expired.has(code))
      answered += sum(calls, (code) => !shed.has(code))
      const said = [...calls].filter(([, times]) => times > 0).map(([code, times]) => `${times} × ${code}`)
      console.log(`starved: the calls of ${countedMs / 1000} s afterwards: ${said.join(', ') || 'none'}`)
    }
    const faults = async () => {
      using _ = busyMachine(busy)
      goFirst()
      await after('busy from now on', () => pause(30_000))
      for (let round = 0; round < rounds; round++) {
        for (const process of play.all) {
          await after(`${process.service} stands still for 12 s`, async () => {
            process.signal('SIGSTOP')
            await pause(12_000)
            process.signal('SIGCONT')
          })
          await after(`${process.service} killed`, async () => {
            await process.kill()
            await startBehind(() => process.start())
          })
        }
        await after('broker killed', async () => {
          await kafka.nodes[0]?.kill('SIGKILL')
          await startBehind(async () => kafka.nodes[0]?.start())
        })
        await after('Redis killed', async () => {
          await redis.kill('SIGKILL')
          await startBehind(() => redis.start())
        })
      }
    }
    await play.through('starved', faults, { tasksOfEach: 4 })
    console.log(`starved: ${lost} of ${answered} calls that were not shed expired, between faults`)
    expect(late).toEqual([])
    expect(lost / Math.max(1, answered)).toBeLessThanOrEqual(0.05)
  })
})
