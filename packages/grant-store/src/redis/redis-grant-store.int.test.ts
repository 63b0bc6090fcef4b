import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { type RedisServer, startRedis } from '@bailiwick/native'
import { afterAll, beforeAll } from 'vitest'
import { type GrantStoreUnderTest, grantStoreContract } from '../grant-store.contract.ts'
import { redisGrantStore } from './index.ts'

const logger = { info() {}, warn() {} }
let server: RedisServer

beforeAll(async () => {
  server = await startRedis()
})
afterAll(() => server[Symbol.asyncDispose]())

/** Comes back with what it had: only the run tells that it stopped. */
async function restart(): Promise<void> {
  await server.cli('SAVE')
  await server.kill('SIGKILL')
  await server.start()
}

async function underTest(): Promise<GrantStoreUnderTest> {
  await using opened = new AsyncDisposableStack()
  await server.cli('FLUSHALL')
  const dump = join(server.dir, 'dump.rdb')
  const kept = join(server.dir, 'kept.rdb')
  const owned = opened.move()
  return {
    // A busy machine is no store that is away.
    connect: async () => owned.use(await redisGrantStore({ url: server.url, logger, deadlineMs: 10_000 })),
    flush: async () => void (await server.cli('FLUSHALL')),
    restart,
    async snapshot() {
      await server.cli('SAVE')
      copyFileSync(dump, kept)
    },
    async rollback() {
      await server.kill('SIGKILL')
      copyFileSync(kept, dump)
      await server.start()
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

grantStoreContract('redis', underTest)
