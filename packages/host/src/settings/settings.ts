import type { BlockList } from 'node:net'
import { ServiceError } from '@bailiwick/errors'
import { z } from 'zod'
import { readNetworks } from '../http/http-caller.ts'
import { strangerLimits } from '../http/http-strangers.ts'
import { logLevels } from '../observe/logger.ts'

/** Where a port's adapter is: in this process, or at these addresses. */
export type BusSetting = { kind: 'embedded' } | { kind: 'kafka'; brokers: string[] }
export type GrantStoreSetting = { kind: 'embedded' } | { kind: 'redis'; url: string }

/** The value of `BAILIWICK_TLS`: no TLS, TLS terminated by a front, or the files to read. */
export type TlsSetting = 'none' | 'terminated' | { certificateFile: string; keyFile: string }

const HOST_PORT = /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})$/

const bus = z.string().transform((value, context): BusSetting => {
  if (value === 'embedded') return { kind: 'embedded' }
  const brokers = value.startsWith('kafka://') ? value.slice('kafka://'.length).split(',') : []
  if (brokers.length > 0 && brokers.every((broker) => isPort(HOST_PORT.exec(broker)?.[1])))
    return { kind: 'kafka', brokers }
  context.addIssue('embedded, or kafka://host:port[,host:port…]')
  return z.NEVER
})

const grantStore = z.string().transform((value, context): GrantStoreSetting => {
  if (value === 'embedded') return { kind: 'embedded' }
  if (/^rediss?:\/\//.test(value) && URL.canParse(value)) return { kind: 'redis', url: value }
  context.addIssue('embedded, or redis://host:port, or rediss://host:port')
  return z.NEVER
})

const publicUrl = z.string().transform((value, context): string => {
  const url = URL.parse(value)
  const origin = url !== null && /^https?:$/.test(url.protocol) && (value === url.origin || value === `${url.origin}/`)
  if (origin) return url.origin
  // A path would have to precede every route and the htu of every proof.
  context.addIssue('an origin, such as https://bailiwick.example: lower case, no path, no user')
  return z.NEVER
})

const tls = z.string().transform((value, context): TlsSetting => {
  if (value === 'none' || value === 'terminated') return value
  const [certificateFile, keyFile, ...more] = value.split(',')
  if (certificateFile && keyFile && more.length === 0) return { certificateFile, keyFile }
  context.addIssue('terminated, or two PEM files: certificate.pem,key.pem')
  return z.NEVER
})

/** A duration, such as 2s or 1500ms; read as ms. */
export const duration = (least: number, most: number) =>
  z.string().transform((value, context): number => {
    const [, amount, unit] = /^(\d{1,5})(ms|s)$/.exec(value) ?? []
    const ms = Number(amount) * (unit === 's' ? 1000 : 1)
    if (ms >= least && ms <= most) return ms
    context.addIssue(`a time from ${least}ms to ${most}ms, such as 2s or 1500ms`)
    return z.NEVER
  })

const networks = z.string().transform((value, context): BlockList => {
  const read = readNetworks(value)
  if (read !== undefined) return read
  context.addIssue('the addresses of proxies, or their networks, but not everybody: 10.1.0.0/16,2001:db8::7')
  return z.NEVER
})

/** Names and addresses by which others call a service, without ports. */
const hosts = z.string().transform((value, context): string[] => {
  const names = value.split(',').map((name) => name.trim().toLowerCase())
  if (names.every((name) => /^(?:[a-z0-9_.-]{1,253}|[0-9a-f:.]{2,45})$/.test(name))) return names
  context.addIssue('names without a port, as callers know this process: evidence,evidence.internal')
  return z.NEVER
})

/** The address of a service that runs as its own process. */
export interface ServiceAddress {
  service: 'approval' | 'issuer' | 'policy-decision' | 'evidence'
  /** An origin. */
  url: string
}

const services = z.string().transform((value, context): ServiceAddress[] => {
  const named = value.split(',').flatMap((each): ServiceAddress[] => {
    const [, service, address = ''] = /^(approval|issuer|policy-decision|evidence)=(https?:.+)$/.exec(each.trim()) ?? []
    const url = URL.parse(address)
    if (url === null || (address !== url.origin && address !== `${url.origin}/`)) return []
    return [{ service: service as ServiceAddress['service'], url: url.origin }]
  })
  if (named.length === value.split(',').length) return named
  context.addIssue('services with their origins: issuer=http://issuer:8422,evidence=http://evidence:8424')
  return z.NEVER
})

/**
 * A destination for confidential data: only over TLS, or on this machine. A user would appear in the logs of other systems, and a
 * fragment is never sent.
 */
const receiver = (without: string, fits: (url: URL) => boolean = () => true) =>
  z
    .string()
    .max(2048)
    .transform((value, context): URL => {
      const url = URL.parse(value)
      const here = url !== null && ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname)
      const way = url?.protocol === 'https:' || (url?.protocol === 'http:' && here)
      const plain = url !== null && url.username === '' && url.password === '' && url.hash === ''
      if (way && plain && fits(url)) return url
      context.addIssue(`an https URL, or http://localhost, without ${without}`)
      return z.NEVER
    })

const webhook = receiver('user and fragment').transform(({ href }) => href)

/** Put keys into the file of headers. */
const otlpEndpoint = receiver('user, query and fragment', ({ search }) => search === '').transform((url) => {
  // OTLP/HTTP Request: the default path for logs.
  if (url.pathname === '/') url.pathname = '/v1/logs'
  return url.href
})

const whole = (least: number, most: number) => z.coerce.number().int().min(least).max(most)

const flag = z
  .enum(['0', '1'])
  .default('0')
  .transform((value) => value === '1')

const port = z.string().transform((value, context): number => {
  if (isPort(value)) return Number(value)
  context.addIssue('a port, 0 to 65535')
  return z.NEVER
})

function isPort(value: string | undefined): boolean {
  return value !== undefined && /^\d{1,5}$/.test(value) && Number(value) <= 65_535
}

/**
 * The settings that every service has, with their defaults. The default port is the service's own (DESIGN §8). A service spreads
 * them into its schema: `z.object({ ...commonSettings(8422), … })`.
 */
export const commonSettings = (defaultPort: number) => ({
  /** Folder for all stored data. */
  BAILIWICK_DATA: z.string().default('.bailiwick'),
  /** This process's own address as others see it: an origin. Absent: `http://localhost:<port>`. */
  BAILIWICK_PUBLIC_URL: publicUrl.optional(),
  BAILIWICK_HOST: z.string().max(255).default('127.0.0.1'),
  BAILIWICK_PORT: port.default(defaultPort),
  BAILIWICK_BUS: bus.default({ kind: 'embedded' }),
  /** PEM file of the authorities that issued the brokers' certificates, or `system` for the machine's own. */
  BAILIWICK_KAFKA_CA: z.string().optional(),
  /** SASL user. Default: the service's name, which is the principal in the generated ACLs. */
  BAILIWICK_KAFKA_USER: z.string().max(255).optional(),
  /** File that contains only the SCRAM-SHA-512 password. */
  BAILIWICK_KAFKA_PASSWORD_FILE: z.string().optional(),
  BAILIWICK_GRANT_STORE: grantStore.default({ kind: 'embedded' }),
  /** PEM file of the authorities for `rediss://`. Default: the machine's own. */
  BAILIWICK_REDIS_CA: z.string().optional(),
  /** `1`: a single broker is enough, and Kafka and Redis may be used without TLS and login. For development. */
  BAILIWICK_DEV: flag,
  /** File with the secret, random or a passphrase, that private keys are encrypted with (docs/operate/keys.md). */
  BAILIWICK_KEYS_SECRET_FILE: z.string().optional(),
  BAILIWICK_LOG_LEVEL: z.enum(logLevels).default('info'),
  /** ms. How old the last head may be (DESIGN §5). A larger value widens the window of V7 by as much. */
  BAILIWICK_MAX_STALENESS: duration(1000, 10_000).default(2000),
  BAILIWICK_TLS: tls.default('none'),
  /** Names of this process other than its public address and the loopback's: `NAME[,NAME…]`. Requests for another host are refused. */
  BAILIWICK_HOSTS: hosts.default([]),
  /** Where the other services answer. `bailiwick status` asks there whether they are ready. A service may be listed more than once. */
  BAILIWICK_SERVICES: services.default([]),
  /** The proxies whose `X-Forwarded-For` is believed: `CIDR[,CIDR…]`. Absent: none, so all clients behind a proxy count as one caller. */
  BAILIWICK_TRUSTED_PROXIES: networks.optional(),
  /** Requests without a verified caller that one network may send per second; ten times that at once. */
  BAILIWICK_STRANGER_REQUESTS_PER_SECOND: whole(1, 1_000_000).default(strangerLimits.perSecond),
  /** Who may read /metrics: this machine, or every client that reaches the port; then a front must block access from outside. */
  BAILIWICK_METRICS: z.enum(['loopback', 'anyone']).default('loopback'),
})

/** For one decision point. Generous: an approved task reaches the limit of its own budget first. */
export const defaultQuotas = { agentDecisionsPerMinute: 6000, grantDecisionsPerMinute: 3000 }

/** For a process in which policy-decision runs. */
export const quotaSettings = {
  /** How many decisions one agent may get here per minute, over all its instances and tasks. */
  BAILIWICK_DECISIONS_PER_MINUTE_AGENT: whole(1, 10_000_000).default(defaultQuotas.agentDecisionsPerMinute),
  /** The same for one grant, including everything delegated from it. */
  BAILIWICK_DECISIONS_PER_MINUTE_GRANT: whole(1, 10_000_000).default(defaultQuotas.grantDecisionsPerMinute),
}

/** For a process in which the issuer runs (docs/operate/keys.md). */
export const keySettings = {
  /** Days that a key signs until a prepared key replaces it automatically; `0`: never. */
  BAILIWICK_KEY_ROTATION_DAYS: z.coerce.number().int().min(0).max(3650).default(30),
}

export type NotificationFormat = 'json' | 'slack'

/** For a process in which approval runs: how people are notified of waiting requests (docs/how-to/notifications.md). */
export const notifySettings = {
  /** Where notifications are posted: https, or http to this machine. A secret: its holder can post there. */
  BAILIWICK_NOTIFY_WEBHOOK: webhook.optional(),
  BAILIWICK_NOTIFY_FORMAT: z.enum(['json', 'slack']).default('json'),
}

/** For a process in which approval runs: how long people have. */
export const askSettings = {
  /** Seconds for which an ask can be answered. */
  BAILIWICK_REQUEST_SECONDS: whole(60, 8 * 3600).default(3600),
}

/** For a process in which evidence runs: where its events go in addition to the bus (docs/audit/siem.md). */
export const sinkSettings = {
  /** OTLP/HTTP endpoint for logs: https, or http to this machine. `/v1/logs` is added if it has no path. */
  BAILIWICK_SINK_OTLP: otlpEndpoint.optional(),
  /** File of headers that the endpoint requires, such as `authorization: Bearer …`, one per line. */
  BAILIWICK_SINK_OTLP_HEADERS_FILE: z.string().optional(),
  /** File that gets one line of JSON per leaf. */
  BAILIWICK_SINK_FILE: z.string().max(4000).optional(),
  /** Size in bytes after which that file is rotated. */
  BAILIWICK_SINK_FILE_BYTES: whole(1024 * 1024, 2 ** 40).default(64 * 1024 * 1024),
  /** How many rotated files are kept. */
  BAILIWICK_SINK_FILE_KEEP: whole(1, 10_000).default(16),
  /** How many leaves a sink may be behind. Older ones are dropped and counted, and reported as a finding. */
  BAILIWICK_SINK_BACKLOG: whole(1000, 1_000_000_000).default(1_000_000),
}

/** Where evidence sends its events in addition to the bus. */
export interface SinksConfig {
  otlp?: { url: string; headersFile: string | undefined }
  file?: { path: string; maxBytes: number; keep: number }
  /** How many leaves a sink may be behind. */
  backlog: number
}

/** The sinks that an environment names. Throws `config_invalid` for headers without an endpoint. */
export function sinksOf(config: z.infer<z.ZodObject<typeof sinkSettings>>): SinksConfig {
  const { BAILIWICK_SINK_OTLP: url, BAILIWICK_SINK_OTLP_HEADERS_FILE: headersFile, BAILIWICK_SINK_FILE: path } = config
  if (url === undefined && headersFile !== undefined)
    throw new ServiceError('config_invalid', 'BAILIWICK_SINK_OTLP_HEADERS_FILE: there is no BAILIWICK_SINK_OTLP')
  const [maxBytes, keep] = [config.BAILIWICK_SINK_FILE_BYTES, config.BAILIWICK_SINK_FILE_KEEP]
  return {
    ...(url === undefined ? {} : { otlp: { url, headersFile } }),
    ...(path === undefined ? {} : { file: { path, maxBytes, keep } }),
    backlog: config.BAILIWICK_SINK_BACKLOG,
  }
}
