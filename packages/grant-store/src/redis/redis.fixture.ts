import type { RedisServer } from '@bailiwick/native'
import { type RedisGrantStore, type RedisGrantStoreOptions, redisGrantStore } from './index.ts'

/** Keeps every line as it would be written. */
export function aLogger() {
  const lines: string[] = []
  const write = (level: string) => (fields: object, message: string) =>
    void lines.push(JSON.stringify({ level, ...fields, message }))
  return { lines, info: write('info'), warn: write('warn') }
}

/** With a long deadline by default: on a busy machine the store must not count as unavailable, unless the test is about that. */
export function openStore(
  { url }: Pick<RedisServer, 'url'>,
  options: Partial<RedisGrantStoreOptions> = {},
): Promise<RedisGrantStore> {
  return redisGrantStore({ url, logger: aLogger(), deadlineMs: 10_000, ...options })
}

/** Checks repeatedly until it holds, for a minute at least. */
export async function eventually(check: () => unknown): Promise<void> {
  for (let tries = 0; tries < 6000; tries++) {
    if (await check()) return
    await pause(10)
  }
  throw new Error('it did not happen')
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
