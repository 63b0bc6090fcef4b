import { loadavg } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'
import { services } from '@bailiwick/contracts'
import { lacks } from '@bailiwick/native'
import { describe, it } from 'vitest'
import { tally } from '../tally.ts'
import { Play, readyWithinMs } from './play.ts'

/** Which faults, by a regular expression; all unless it is given. */
const chosen = new RegExp(process.env.RECOVERY_FAULTS ?? '')
const rounds = Number(process.env.BAILIWICK_COUNT ?? 20)

/** What one fault cost, in ms. */
interface Cost {
  /** From when the cause was gone until every service had a ready instance, the struck one included. */
  ready: number
  /** From when the cause was gone until a call was allowed. */
  allowed: number
  /** The longest time without an allowed call, from the fault on. */
  pause: number
}

const seconds = (ms: number) => (ms / 1000).toFixed(1)

function row(fault: string, costs: readonly Cost[]): string {
  const figures = (['ready', 'allowed', 'pause'] as const).map((key) => {
    const sorted = costs.map((cost) => cost[key]).toSorted((a, b) => a - b)
    return `${seconds(sorted[Math.floor(sorted.length / 2)] ?? 0)} (${seconds(sorted.at(-1) ?? 0)})`
  })
  return `| ${fault} | ${costs.length} | ${figures.join(' | ')} | ${loadavg()[0]?.toFixed(1)} |`
}

/** Watches the calls of the agents until it is asked for the longest time in which none was allowed. */
function watchCalls({ acknowledged: { allows } }: Play): () => number {
  let [size, since, longest] = [allows.size, performance.now(), 0]
  const look = () => {
    longest = Math.max(longest, performance.now() - since)
    if (allows.size > size) [size, since] = [allows.size, performance.now()]
  }
  const timer = setInterval(look, 10)
  return () => {
    clearInterval(timer)
    look()
    return Math.round(longest)
  }
}

// Only for the night: vitest.config.ts leaves this file out otherwise.
describe.skipIf(lacks('secure-kafka', 'redis'))('how long a recovery takes', () => {
  it(`each fault ${rounds} times: no process ends, and nothing is lost (V2, V4, V7, V9, V10)`, {
    timeout: rounds * 20 * 60_000,
  }, async () => {
    await using play = await Play.open()
    const { kafka, redis } = play.system
    const [broker] = kafka.nodes
    if (!broker) throw new Error('there is no broker')

    /** `strike` resolves when the cause is gone. */
    const measure = async (fault: string, strike: () => Promise<unknown>) => {
      if (!chosen.test(fault)) return
      const costs: Cost[] = []
      for (let n = 0; n < rounds; n++) {
        await play.goesOn()
        await pause(500 + play.random() * 1000)
        const longestPause = watchCalls(play)
        await strike()
        const began = performance.now()
        const since = () => Math.round(performance.now() - began)
        const [ready, allowed] = await Promise.all([
          Promise.all(play.all.map((each) => each.ready(readyWithinMs))).then(since),
          play.goesOn().then(since),
        ])
        // What is denied again after a first ALLOW is part of the same pause.
        await pause(3000)
        costs.push({ ready, allowed, pause: longestPause() })
      }
      console.log(`recovery: ${row(fault, costs)}`)
    }

    await play.through(`every fault ${rounds} times`, async () => {
      await measure('none', () => pause(0))
      for (const name of services)
        await measure(`${name} killed, started at once`, async () => {
          const struck = play.system.processes[name][0]
          await struck?.kill()
          tally('SIGKILL', name)
          struck?.start()
        })
      for (const name of services)
        await measure(`${name} stands still for 5 s`, async () => {
          const struck = play.system.processes[name][0]
          struck?.signal('SIGSTOP')
          tally('SIGSTOP', name)
          await pause(5000)
          struck?.signal('SIGCONT')
        })
      await measure('Redis killed, started at once', async () => {
        await redis.kill('SIGKILL')
        tally('SIGKILL', 'Redis')
        await redis.start()
      })
      await measure('broker killed, started at once', async () => {
        await broker.kill('SIGKILL')
        tally('SIGKILL', 'broker')
        await broker.start()
      })
      await measure('broker away for 31 s', async () => {
        await broker.kill('SIGKILL')
        tally('SIGKILL', 'broker')
        await pause(31_000)
        await broker.start()
      })
      await measure('broker, Redis and every service killed at once', async () => {
        await Promise.all([broker.kill('SIGKILL'), redis.kill('SIGKILL'), ...play.all.map((each) => each.kill())])
        for (const subject of ['broker', 'Redis', ...play.all.map(({ service }) => service)]) tally('SIGKILL', subject)
        for (const each of play.all) each.start()
        await redis.start()
        await broker.start()
      })
    })
  })
})
