import { isIP } from 'node:net'
import { ServiceError } from '@bailiwick/errors'

/** The address of a Redis and the credentials for it. Holds a secret: only `name` may be shown. */
export interface RedisAddress {
  /** `host:port`, for display. */
  name: string
  host: string
  port: number
  db: number
  tls: boolean
  /** The name that the certificate must have. Absent for a numeric address, because no certificate request names one. */
  servername?: string
  username?: string
  password?: string
}

/**
 * Reads `redis[s]://[user:password@]host[:port][/database]`, and accepts nothing beyond it.
 * @throws ServiceError `config_invalid`, which does not quote the text, because it may contain a password.
 */
export function redisAddress(text: string): RedisAddress {
  // URL's own errors quote the whole text.
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
