import { lacks } from '@bailiwick/native'
import type { ServiceProcess } from '@bailiwick/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { pause } from '../killable.ts'
import { counts } from './counts.ts'
import { Play } from './play.ts'

describe.skipIf(lacks('secure-kafka', 'redis'))('the processes, on a real broker and a real Redis', () => {
  let play: Play
  beforeAll(async () => {
    play = await Play.open({ cuttable: 'policy-decision' })
  }, 300_000)
  afterAll(() => play?.[Symbol.asyncDispose]())

  /** Dead for a moment, or at once again; one in four dies once more while it starts, and mends what the last death left. */
  async function killed(process: ServiceProcess): Promise<void> {
    const { random } = play
    await pause(random() * 1000)
    await process.kill()
    await pause(random() < 0.5 ? 0 : random() * 1000)
    process.start()
    if (random() < 0.25) {
      await pause(random() * 1500)
      await process.kill()
      process.start()
    }
    await process.ready()
  }

  it(
    `each killed ${counts.kills} times at any moment: nothing acknowledged is lost, doubled or revived (V2, V4, V7, V9, V10)`,
    async () => {
      await play.through(`each process killed ${counts.kills} times`, async () => {
        for (let n = 0; n < counts.kills; n++) for (const process of play.all) await killed(process)
      })
    },
    counts.kills * 60_000 + 120_000,
  )

  it(
    `the broker killed ${counts.broker} times and back: the same, and all go on by themselves (V2, V7, V9, V10)`,
    async () => {
      const { kafka } = play.system
      play.acknowledged.boundMs = 2000
      await play.through(`the broker killed ${counts.broker} times`, async () => {
        for (let n = 0; n < counts.broker; n++) {
          await pause(play.random() * 1000)
          await kafka.nodes[0]?.kill('SIGKILL')
          await pause(play.random() * 1000)
          await kafka.nodes[0]?.start()
          console.log(`broker: back and a call allowed again after ${await play.goesOn()} ms`)
        }
      })
      play.acknowledged.boundMs = 1000
    },
    counts.broker * 60_000 + 120_000,
  )

  it('one decision point cut off from the broker denies within 2 s, and comes back by itself (V7, V8)', async () => {
    const { line, processes, url } = play.system
    const cut = processes['policy-decision'].at(-1)
    if (!line || !cut) throw new Error('there is no line to cut')
    expect(url).toBeDefined()
    await play.through('one decision point cut off', async () => {
      line.cut()
      const began = performance.now()
      while ((await fetch(`${cut.url}/readyz`)).status === 200) await pause(20)
      const ms = Math.round(performance.now() - began)
      console.log(`cut off: stale after ${ms} ms`)
      expect(ms).toBeLessThan(2500)
      await pause(5000)
      expect(await play.goesOn()).toBeLessThan(5000) // by the other one
      line.mend()
      const mended = performance.now()
      await cut.ready()
      console.log(`mended: ready after ${Math.round(performance.now() - mended)} ms`)
    })
  }, 120_000)
})
