import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { missingParts, type RedisServer, startRedis } from '@bailiwick/native'
import { afterAll, beforeAll, describe } from 'vitest'
import { type GrantStoreUnderTest, grantStoreContract } from '../grant-store.contract.ts'
import type { GrantStore } from '../grant-store.ts'
import { eventually, openStore } from './redis.fixture.ts'

/** Skipped without a redis-server; in CI that is a failure. */
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
    const stores: GrantStore[] = []
    const answers = (store: GrantStore) =>
      store.epoch().then(
        () => true,
        () => false,
      )
    /** Waits until instances that got answers before get answers again: an unavailable store returns nothing, which would prove nothing. */
    const away = async (whatHappens: () => Promise<void>) => {
      const living = (await Promise.all(stores.map(async (store) => ((await answers(store)) ? [store] : [])))).flat()
      await whatHappens()
      for (const store of living) await eventually(() => answers(store))
    }
    return {
      async connect() {
        const store = owned.use(await openStore(server))
        stores.push(store)
        return store
      },
      flush: async () => void (await server.cli('FLUSHALL')),
      /** Restarts with all its data: only the run shows that it had stopped. */
      restart: () =>
        away(async () => {
          await server.cli('SAVE')
          await server.kill('SIGKILL')
          await server.start()
        }),
      async snapshot() {
        await server.cli('SAVE')
        copyFileSync(dump, kept)
      },
      rollback: () =>
        away(async () => {
          await server.kill('SIGKILL')
          copyFileSync(kept, dump)
          await server.start()
        }),
      [Symbol.asyncDispose]: () => owned.disposeAsync(),
    }
  })
})
