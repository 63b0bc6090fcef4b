import { setTimeout as pause } from 'node:timers/promises'
import { services } from '@bailiwick/contracts'
import { lacks } from '@bailiwick/native'
import type { ServiceProcess } from '@bailiwick/testkit'
import { describe, it } from 'vitest'
import { tally } from '../tally.ts'
import { counts } from './counts.ts'
import { Play, readyWithinMs } from './play.ts'

/** How often a system lives through it: each start reads again all that was said since its beginning. */
const rounds = 20
const parts = Array.from({ length: Math.ceil(counts.kills / rounds) }, (_, n) => ({
  from: n * rounds,
  count: Math.min(rounds, counts.kills - n * rounds),
}))

/** Dead for a moment, or at once again; one in four dies once more while it starts, and mends what the last death left. */
async function killed({ random }: Play, process: ServiceProcess): Promise<void> {
  const kill = async () => {
    await process.kill()
    tally('SIGKILL', process.service)
  }
  await pause(random() * 1000)
  await kill()
  await pause(random() < 0.5 ? 0 : random() * 1000)
  process.start()
  if (random() < 0.25) {
    await pause(random() * 1500)
    await kill()
    process.start()
  }
  await process.ready(readyWithinMs)
}

describe.skipIf(lacks('secure-kafka', 'redis'))(`each process killed ${counts.kills} times at any moment`, () => {
  for (const { from, count } of parts)
    it(`${from + 1} to ${from + count}: nothing acknowledged is lost, doubled or revived (V2, V4, V7, V9, V10)`, {
      timeout: count * services.length * 30_000 + 240_000,
    }, async () => {
      await using play = await Play.open()
      await play.through(`each process killed ${count} times`, async () => {
        for (let n = 1; n <= count; n++) {
          const began = performance.now()
          for (const process of play.all) await killed(play, process)
          console.log(`kills: round ${from + n} in ${Math.round(performance.now() - began)} ms`)
        }
      })
    })
})
