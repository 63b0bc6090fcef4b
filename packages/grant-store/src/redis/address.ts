import { isIP } from 'node:net'
import { ServiceError } from '@bailiwick/errors'

/** Where a Redis is, and as whom to enter. Holds a secret: only `name` may be shown. */
export interface RedisAddress {
  /** `host:port`, for people. */
  name: string
  host: string
  port: number
  db: number
  tls: boolean
  /** What a certificate must be made out to; absent for an address in numbers, which no certificate request names. */
  servername?: string
  username?: string
  password?: string
}

/**
 * Reads `redis[s]://[user:password@]host[:port][/database]`, and nothing beyond it.
 * @throws ServiceError `config_invalid`, which says nothing of the text: there may be a password in it.
 */
export function redisAddress(text: string): RedisAddress {
  // URL's own errors carry the whole text.
  const url = URL.parse(text)
  const database = /^\/?(\d{0,4})$/.exec(url?.pathname ?? '')
  const [username, password] = [url?.username, url?.password].map(decoded)
  const understood =
    url !== null && /^rediss?:$/.test(url.protocol) && url.hostname !== '' && database && !url.search && !url.hash
  if (!understood || username === undefined || password === undefined)
    throw new ServiceError('config_invalid', 'the grant store is not redis[s]://[user:password@]host[:port][/database]')
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const port = url.port === '' ? 6379 : Number(url.port)
  return {
    name: `${url.hostname}:${port}`,
    host,
    port,
    db: Number(database[1]),
    tls: url.protocol === 'rediss:',
    ...(isIP(host) ? {} : { servername: host }),
    ...(username === '' ? {} : { username }),
    ...(password === '' ? {} : { password }),
  }
}

function decoded(text: string | undefined): string | undefined {
  try {
    return decodeURIComponent(text ?? '')
  } catch {
    return undefined
  }
}
