import { ServiceError } from '@bailiwick/errors'
import { Redis, type RedisOptions } from 'ioredis'
import { type RedisAddress, redisAddress } from './address.ts'
import { unfitness } from './fitness.ts'
import type { Script } from './scripts.ts'

/** The logger for a store's operators, in pino's shape. It never gets a key, proof, password or URL. */
export interface GrantStoreLogger {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}

export interface ConnectionOptions {
  url: string
  tls?: { ca: string }
  logger: GrantStoreLogger
  deadlineMs: number
  watchMs: number
  /** ms of a clock that never goes back. Without it, the log line does not say how long the store was unavailable. */
  monotonic?: (() => number) | undefined
}

/** One connection to one Redis, which reconnects by itself. No call ever waits for it: calls while it is down fail at once. */
export interface Connection extends AsyncDisposable {
  /** Runs one script. @throws ServiceError `outcome_unknown` if there is no answer in time, or only an error. */
  run(script: Script, keys: readonly string[], args: readonly string[]): Promise<unknown>
  /** Asks the server now whether it can be a grant store. @throws ServiceError `outcome_unknown` if it cannot, or is unavailable. */
  check(): Promise<void>
  /** Why the server must not be believed, as last seen; `undefined` if all is well. */
  unhealthy(): string | undefined
}

/** With more unanswered calls than this the server does not keep up, and counts as unavailable for the next call. */
const MOST_WAITING = 10_000
const tooMany = 'too many calls wait for it'
const LONGEST_BACK_OFF_MS = 1_000
const START_MS = 2_000

/**
 * Connects. Resolves when the server answered, or after two seconds without an answer; then it keeps trying, and `unhealthy` says so.
 * `onUnfit` is called whenever the server turns out not to keep what it acknowledged.
 * @throws ServiceError `config_invalid` if the first server that answers cannot be a grant store, or refuses us.
 */
export async function openConnection(options: ConnectionOptions, onUnfit: () => void): Promise<Connection> {
  const { logger, deadlineMs, watchMs } = options
  const address = redisAddress(options.url)
  if (options.tls && !address.tls) throw new ServiceError('config_invalid', 'a CA is for rediss://, not for redis://')
  const redis = new Redis(redisOptions(address, options.tls, deadlineMs))
  const server = address.name
  let away: string | undefined = 'never connected'
  let unfit: string | undefined
  let waiting = 0
  let said: string | undefined
  let since: number | undefined

  const unhealthy = () => away ?? unfit
  /** Logs each change once, not each attempt: a server may be unavailable for days. */
  const say = () => {
    const reason = away === undefined ? unfit : 'away'
    if (reason === said) return
    if (said === undefined) since = options.monotonic?.()
    said = reason
    if (reason !== undefined) {
      logger.warn({ server, reason: unhealthy() }, 'the grant store cannot be used; the log alone decides')
      return
    }
    const now = options.monotonic?.()
    const outage = since === undefined || now === undefined ? {} : { seconds: Math.round((now - since) / 100) / 10 }
    logger.info({ server, ...outage }, 'the grant store is connected')
  }
  const isAway = (reason: string) => {
    away = reason
    say()
  }

  const check = async () => {
    try {
      unfit = unfitness(await redis.info())
    } catch (error) {
      throw unanswered(error)
    }
    say()
    if (unfit === undefined) return
    onUnfit()
    throw new ServiceError('outcome_unknown', `the grant store may forget: ${unfit}`)
  }
  const checkQuietly = () => {
    if (redis.status === 'ready') check().catch(() => undefined)
  }

  redis.on('error', (error) => isAway(reasonOf(error)))
  redis.on('close', () => isAway(away ?? 'the connection was lost'))
  redis.on('ready', () => {
    away = undefined
    checkQuietly()
  })
  const watch = setInterval(checkQuietly, watchMs)
  watch.unref()

  const close = () => {
    clearInterval(watch)
    redis.disconnect()
  }

  try {
    await withinStart(redis.connect().then(check))
  } catch {
    const wrong = unfit ?? (/^(WRONGPASS|NOAUTH|NOPERM)$/.test(away ?? '') ? away : undefined)
    if (wrong !== undefined) {
      close()
      throw new ServiceError('config_invalid', `the Redis at ${server} cannot be the grant store: ${wrong}`)
    }
  }

  return {
    check,
    unhealthy,
    async run({ lua, sha }, keys, args) {
      if (waiting >= MOST_WAITING) throw unanswered(new Error(tooMany))
      waiting++
      try {
        return await redis.evalsha(sha, keys.length, ...keys, ...args).catch((error) => {
          if (reasonOf(error) !== 'NOSCRIPT') throw error
          return redis.eval(lua, keys.length, ...keys, ...args)
        })
      } catch (error) {
        throw unanswered(error)
      } finally {
        waiting--
      }
    },
    async [Symbol.asyncDispose]() {
      close()
    },
  }
}

function redisOptions(address: RedisAddress, tls: { ca: string } | undefined, deadlineMs: number) {
  const { host, port, db, servername, username, password } = address
  return {
    host,
    port,
    db,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(address.tls ? { tls: { ...tls, ...(servername === undefined ? {} : { servername }) } } : {}),
    connectionName: 'bailiwick',
    disableClientInfo: true,
    protocol: 2 as const,
    lazyConnect: true,
    // Calls never wait for a connection, and are never sent again without the caller's knowledge.
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    commandTimeout: deadlineMs,
    // Disconnects from a server that hangs: the next calls then fail at once instead of each waiting for its deadline. Longer
    // than a call's own deadline, which also passes when this process itself hangs.
    socketTimeout: Math.max(2 * deadlineMs, 1_000),
    disconnectTimeout: deadlineMs,
    connectTimeout: Math.max(deadlineMs, 1_000),
    retryStrategy: (attempt) => Math.min(25 * 2 ** Math.min(attempt, 10), LONGEST_BACK_OFF_MS),
    // The server is no longer the primary. Its name, or the proxy in front of it, leads to another one.
    reconnectOnError: (error) => reasonOf(error) === 'READONLY',
  } satisfies RedisOptions
}

async function withinStart(connected: Promise<void>): Promise<void> {
  const late = Promise.withResolvers<void>()
  const timer = setTimeout(() => late.resolve(), START_MS)
  try {
    await Promise.race([connected, late.promise])
  } finally {
    clearTimeout(timer)
  }
}

function unanswered(error: unknown): ServiceError {
  // Not the error itself: ioredis keeps the command and its arguments in it, including those of AUTH.
  return new ServiceError('outcome_unknown', 'the grant store does not answer', { cause: new Error(reasonOf(error)) })
}

/** A word for the error: Redis's own (READONLY, OOM, …), the system's (ECONNREFUSED, …), or the client's sentence. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  if ('code' in error && typeof error.code === 'string') return error.code
  const [, word] = /^([A-Z]{3,})\b/.exec(error.message) ?? []
  return word ?? sentences.find(([about]) => about.test(error.message))?.[1] ?? 'error'
}

/** ioredis's sentences, in our words: a new sentence of its own might contain anything. */
const sentences: readonly [RegExp, string][] = [
  [/^Command timed out/, 'no answer in time'],
  [/^Socket timeout/, 'the server holds still'],
  [/^(Connection is closed|Command aborted|Reached the max retries)/, 'the connection was lost'],
  [/^Stream isn't writeable/, 'there is no connection'],
  [new RegExp(`^${tooMany}`), tooMany],
]
