import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { missingParts, type RedisServer, startRedis } from '@bailiwick/native'
import { afterAll, beforeAll, describe } from 'vitest'
import { type GrantStoreUnderTest, grantStoreContract } from '../grant-store.contract.ts'
import { openStore } from './redis.fixture.ts'

/** Skipped where there is no redis-server; on CI that is a failure. */
const skipped = missingParts('redis').length > 0 && process.env.CI !== 'true'

describe.skipIf(skipped)('on a real server', () => {
  let server: RedisServer
  beforeAll(async () => {
    server = await startRedis()
  })
  afterAll(() => server[Symbol.asyncDispose]())

  grantStoreContract('redis', async (): Promise<GrantStoreUnderTest> => {
    await server.cli('FLUSHALL')
    const owned = new AsyncDisposableStack()
    const dump = join(server.dir, 'dump.rdb')
    const kept = join(server.dir, 'kept.rdb')
    return {
      connect: async () => owned.use(await openStore(server)),
      flush: async () => void (await server.cli('FLUSHALL')),
      /** Comes back with all that it had: only the run tells that it stopped. */
      async restart() {
        await server.cli('SAVE')
        await server.kill('SIGKILL')
        await server.start()
      },
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
  })
})
