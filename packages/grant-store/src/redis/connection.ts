import { ServiceError } from '@bailiwick/errors'
import { Redis, type RedisOptions } from 'ioredis'
import { type RedisAddress, redisAddress } from './address.ts'
import { unfitness } from './fitness.ts'
import type { Script } from './scripts.ts'

/** What a store has to say to those who run it: pino's shape. It is never given a key, proof, password or URL. */
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
  /** ms that never go back. Without it, the log line does not say how long the store was away. */
  monotonic?: (() => number) | undefined
}

/** One connection to one Redis, which comes back by itself. No call ever waits for it: who comes while it is away is told so. */
export interface Connection extends AsyncDisposable {
  /** Runs one script. @throws ServiceError `outcome_unknown` when there is no answer in time, or only that of an error. */
  run(script: Script, keys: readonly string[], args: readonly string[]): Promise<unknown>
  /** Asks the server now whether it can be a grant store. @throws ServiceError `outcome_unknown` when it cannot, or is away. */
  check(): Promise<void>
  /** Why not to believe the server, as last seen; `undefined` when all is well. */
  unhealthy(): string | undefined
}

/** More than this many calls that wait for answers is a server that does not keep up: it is away for the next one. */
const MOST_WAITING = 10_000
const tooMany = 'too many calls wait for it'
const LONGEST_BACK_OFF_MS = 1_000
const START_MS = 2_000

/**
 * Connects; resolves when the server answered, or after two seconds without: then it goes on trying, and `unhealthy` says so.
 * `onUnfit` is called whenever the server turns out to be none that keeps what it acknowledged.
 * @throws ServiceError `config_invalid` when the first server that answers cannot be a grant store, or refuses us.
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
  /** Each change once, not each attempt: a server may be away for days. */
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
    // Nothing waits for a connection, and nothing is sent again behind the caller's back.
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    commandTimeout: deadlineMs,
    // A server that holds still is left: the next calls are refused at once instead of each waiting out its deadline. Later
    // than a call's own deadline, which also passes when it is this process that held still.
    socketTimeout: Math.max(2 * deadlineMs, 1_000),
    disconnectTimeout: deadlineMs,
    connectTimeout: Math.max(deadlineMs, 1_000),
    retryStrategy: (attempt) => Math.min(25 * 2 ** Math.min(attempt, 10), LONGEST_BACK_OFF_MS),
    // What was the primary is none any more: its name, or whatever stands in front of it, leads to another.
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
  // Not the error itself: ioredis keeps the command and its arguments in it, AUTH's too.
  return new ServiceError('outcome_unknown', 'the grant store does not answer', { cause: new Error(reasonOf(error)) })
}

/** A word for what went wrong: Redis' own (READONLY, OOM, …), the system's (ECONNREFUSED, …), or the client's sentence. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  if ('code' in error && typeof error.code === 'string') return error.code
  const [, word] = /^([A-Z]{3,})\b/.exec(error.message) ?? []
  return word ?? sentences.find(([about]) => about.test(error.message))?.[1] ?? 'error'
}

/** What ioredis says, in words of ours: a sentence of its own that is new might hold anything. */
const sentences: readonly [RegExp, string][] = [
  [/^Command timed out/, 'no answer in time'],
  [/^Socket timeout/, 'the server holds still'],
  [/^(Connection is closed|Command aborted|Reached the max retries)/, 'the connection was lost'],
  [/^Stream isn't writeable/, 'there is no connection'],
  [new RegExp(`^${tooMany}`), tooMany],
]
