import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { busContract } from '../bus.contract.ts'
import { killAfterLines } from '../contract/crash-work.ts'
import { embeddedBus } from './embedded-bus.ts'

busContract(
  'embedded bus',
  async (topics) => {
    const dir = await mkdtemp(join(tmpdir(), 'bailiwick-bus-'))
    const partitions = (topic: string) => topics.find(({ name }) => name === topic)?.partitions ?? 0
    const start = () => embeddedBus({ dir, partitions, retentionMs: () => undefined, now: Date.now })
    let bus = await start()
    return {
      get bus() {
        return bus
      },
      async reopen() {
        await bus[Symbol.asyncDispose]()
        bus = await start()
        return bus
      },
      async killed(work, lines) {
        await bus[Symbol.asyncDispose]()
        const options = { dir, partitions: partitions(work.topic), now: Date.now() }
        const child = new URL('./crash-child.ts', import.meta.url)
        return await killAfterLines(child, [JSON.stringify(options), JSON.stringify(work)], lines)
      },
      async [Symbol.asyncDispose]() {
        await bus[Symbol.asyncDispose]()
        await rm(dir, { recursive: true })
      },
    }
  },
  { events: process.env.BAILIWICK_NIGHTLY === '1' ? 100_000 : 20_000 },
)
