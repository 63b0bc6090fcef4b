export type { GrantStoreLogger } from './connection.ts'
export { type RedisGrantStore, type RedisGrantStoreOptions, redisGrantStore } from './redis-grant-store.ts'
