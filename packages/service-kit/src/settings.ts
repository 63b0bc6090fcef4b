import type { BlockList } from 'node:net'
import { ServiceError } from '@bailiwick/errors'
import { z } from 'zod'
import { readNetworks } from './http-caller.ts'
import { strangerLimits } from './http-strangers.ts'
import { logLevels } from './logger.ts'

/** Where a port's adapter is: in this process, or at these addresses. */
export type BusSetting = { kind: 'embedded' } | { kind: 'kafka'; brokers: string[] }
export type GrantStoreSetting = { kind: 'embedded' } | { kind: 'redis'; url: string }

/** What `BAILIWICK_TLS` says: nothing, that something in front of us terminates TLS, or the files to read. */
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
  // A path would have to be in front of every route and of every proof's htu.
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

/** A time, such as 2s or 1500ms; read as ms. */
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

/** Names and addresses that others call a service by, without ports. */
const hosts = z.string().transform((value, context): string[] => {
  const names = value.split(',').map((name) => name.trim().toLowerCase())
  if (names.every((name) => /^(?:[a-z0-9_.-]{1,253}|[0-9a-f:.]{2,45})$/.test(name))) return names
  context.addIssue('names without a port, as callers know this process: evidence,evidence.internal')
  return z.NEVER
})

/** Where a service that runs by itself answers. */
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

/** Where something confidential is sent: only over TLS, or to this machine. A user would stand in the logs of others, and a fragment is never sent. */
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

/** Keys belong into the file of headers. */
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
 * The settings that every service has, with their defaults; the port's is the service's own (DESIGN §8). A service spreads
 * them into its schema: `z.object({ ...commonSettings(8422), … })`.
 */
export const commonSettings = (defaultPort: number) => ({
  /** Folder of everything that is kept. */
  BAILIWICK_DATA: z.string().default('.bailiwick'),
  /** This process's own address as others see it: an origin. Absent: `http://localhost:<port>`. */
  BAILIWICK_PUBLIC_URL: publicUrl.optional(),
  BAILIWICK_HOST: z.string().max(255).default('127.0.0.1'),
  BAILIWICK_PORT: port.default(defaultPort),
  BAILIWICK_BUS: bus.default({ kind: 'embedded' }),
  /** PEM file of the authorities that the brokers' certificates come from, or `system` for the machine's own. */
  BAILIWICK_KAFKA_CA: z.string().optional(),
  /** SASL user; the service's name unless given, which is the principal of the generated ACLs. */
  BAILIWICK_KAFKA_USER: z.string().max(255).optional(),
  /** File that holds the SCRAM-SHA-512 password and nothing else. */
  BAILIWICK_KAFKA_PASSWORD_FILE: z.string().optional(),
  BAILIWICK_GRANT_STORE: grantStore.default({ kind: 'embedded' }),
  /** PEM file of the authorities for `rediss://`; the machine's own unless given. */
  BAILIWICK_REDIS_CA: z.string().optional(),
  /** `1`: a single broker is enough, and Kafka and Redis may be reached without TLS and login. For development. */
  BAILIWICK_DEV: flag,
  /** File that holds the secret, random or a passphrase, that private keys are encrypted with (docs/operations/keys.md). */
  BAILIWICK_KEYS_SECRET_FILE: z.string().optional(),
  BAILIWICK_LOG_LEVEL: z.enum(logLevels).default('info'),
  /** ms. How old the last head may be (DESIGN §5): a longer one widens the window of V7 by as much. */
  BAILIWICK_MAX_STALENESS: duration(1000, 10_000).default(2000),
  BAILIWICK_TLS: tls.default('none'),
  /** Names that this process goes by besides its public address and the loopback's: `NAME[,NAME…]`. A request for another host is refused. */
  BAILIWICK_HOSTS: hosts.default([]),
  /** Where the other services answer: `bailiwick status` asks there whether they are ready. A service may stand there more than once. */
  BAILIWICK_SERVICES: services.default([]),
  /** The proxies whose `X-Forwarded-For` says who asks: `CIDR[,CIDR…]`. Absent: nobody's, and all behind a proxy are one caller. */
  BAILIWICK_TRUSTED_PROXIES: networks.optional(),
  /** Requests without a verified caller that one network may send, a second; ten times that at once. */
  BAILIWICK_STRANGER_REQUESTS_PER_SECOND: whole(1, 1_000_000).default(strangerLimits.perSecond),
  /** Who may read /metrics: this machine, or whoever reaches the port; then a front has to keep them from the outside. */
  BAILIWICK_METRICS: z.enum(['loopback', 'anyone']).default('loopback'),
})

/** Of one decision point; generous: an approved task is slowed by its own budget first. */
export const defaultQuotas = { agentDecisionsPerMinute: 6000, grantDecisionsPerMinute: 3000 }

/** Of a process in which policy-decision runs. */
export const quotaSettings = {
  /** How many decisions one agent may have here in a minute, over all its instances and tasks. */
  BAILIWICK_DECISIONS_PER_MINUTE_AGENT: whole(1, 10_000_000).default(defaultQuotas.agentDecisionsPerMinute),
  /** The same of one grant, with all that was passed on of it. */
  BAILIWICK_DECISIONS_PER_MINUTE_GRANT: whole(1, 10_000_000).default(defaultQuotas.grantDecisionsPerMinute),
}

/** Of a process in which the issuer runs (docs/operations/keys.md). */
export const keySettings = {
  /** Days that a key signs until one that was prepared takes its place by itself; `0`: never. */
  BAILIWICK_KEY_ROTATION_DAYS: z.coerce.number().int().min(0).max(3650).default(30),
}

export type NotificationFormat = 'json' | 'slack'

/** Of a process in which approval runs: how people are told of what waits (docs/operations/notifications.md). */
export const notifySettings = {
  /** Where notifications are posted: https, or http to this machine. A secret: whoever has it can write there. */
  BAILIWICK_NOTIFY_WEBHOOK: webhook.optional(),
  BAILIWICK_NOTIFY_FORMAT: z.enum(['json', 'slack']).default('json'),
}

/** Of a process in which approval runs: how long people have. */
export const askSettings = {
  /** Seconds that an ask can be answered. */
  BAILIWICK_REQUEST_SECONDS: whole(60, 8 * 3600).default(3600),
}

/** Of a process in which evidence runs: where its events go besides the bus (docs/operations/siem.md). */
export const sinkSettings = {
  /** OTLP/HTTP endpoint for logs: https, or http to this machine; `/v1/logs` unless it has a path. */
  BAILIWICK_SINK_OTLP: otlpEndpoint.optional(),
  /** File of headers that it wants, such as `authorization: Bearer …`, one a line. */
  BAILIWICK_SINK_OTLP_HEADERS_FILE: z.string().optional(),
  /** File that gets a line of JSON for each leaf. */
  BAILIWICK_SINK_FILE: z.string().max(4000).optional(),
  /** Bytes of that file after which it is put aside. */
  BAILIWICK_SINK_FILE_BYTES: whole(1024 * 1024, 2 ** 40).default(64 * 1024 * 1024),
  /** How many files are kept that were put aside. */
  BAILIWICK_SINK_FILE_KEEP: whole(1, 10_000).default(16),
  /** Leaves that a sink may be behind; what is older then is dropped, counted, and a finding. */
  BAILIWICK_SINK_BACKLOG: whole(1000, 1_000_000_000).default(1_000_000),
}

/** Where evidence goes besides the bus. */
export interface SinksConfig {
  otlp?: { url: string; headersFile: string | undefined }
  file?: { path: string; maxBytes: number; keep: number }
  /** Leaves that a sink may be behind. */
  backlog: number
}

/** The sinks that an environment names. Throws `config_invalid` for headers of no endpoint. */
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
