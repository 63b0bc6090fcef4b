import { ServiceError } from '@bailiwick/errors'
import { z } from 'zod'
import { strangerLimits } from '../http/http-strangers.ts'
import { logLevels } from '../observe/logger.ts'
import { setting } from './setting.ts'
import {
  bus,
  duration,
  flag,
  grantStore,
  hosts,
  networks,
  otlpEndpoint,
  port,
  publicUrl,
  services,
  tls,
  webhook,
  whole,
} from './setting-values.ts'

/**
 * The settings that every service has, with their defaults. The default port is the service's own (DESIGN §8). A service spreads
 * them into its schema: `z.object({ ...commonSettings(8422), … })`.
 */
export const commonSettings = (defaultPort: number) => ({
  BAILIWICK_DATA: setting('Folder for all stored data.', '/var/lib/bailiwick', z.string().default('.bailiwick')),
  BAILIWICK_SNAPSHOTS: setting(
    'Folder in which a service keeps its state for its next start ([snapshots](../operate/snapshots.md)), or `off`. Without it: `snapshots` in `BAILIWICK_DATA`.',
    '/var/cache/bailiwick',
    z.string().min(1).optional(),
  ),
  BAILIWICK_PUBLIC_URL: setting(
    'The public address, for which the installation was made: an origin. Without it: the one that `trust.json` names, and `http://localhost:<port>` for all in one and for `--plain`.',
    'https://bailiwick.example',
    publicUrl.optional(),
  ),
  BAILIWICK_HOST: setting(
    'The address to listen at. Beyond loopback the process needs `BAILIWICK_TLS`.',
    '0.0.0.0',
    z.string().max(255).default('127.0.0.1'),
  ),
  BAILIWICK_PORT: setting('The port to listen at. `0`: any free one.', '8443', port.default(defaultPort)),
  BAILIWICK_BUS: setting(
    'The bus: `embedded`, or the brokers of Kafka.',
    'kafka://kafka-1:9093,kafka-2:9093',
    bus.default({ kind: 'embedded' }),
  ),
  BAILIWICK_KAFKA_CA: setting(
    'PEM file of the authorities that issued the brokers’ certificates, or `system` for the machine’s own.',
    '/etc/bailiwick/kafka-ca.pem',
    z.string().optional(),
  ),
  BAILIWICK_KAFKA_USER: setting(
    'SASL user. Without it: the name of the service, which is the principal in the generated ACLs.',
    'issuer',
    z.string().max(255).optional(),
  ),
  BAILIWICK_KAFKA_PASSWORD_FILE: setting(
    'File that contains only the SCRAM-SHA-512 password.',
    '/etc/bailiwick/kafka-password',
    z.string().optional(),
  ),
  BAILIWICK_GRANT_STORE: setting(
    'The store of uses and budgets of policy-decision: `embedded`, or Redis. On Kafka, Redis is required unless `BAILIWICK_DEV` is `1`.',
    'rediss://redis:6379',
    grantStore.default({ kind: 'embedded' }),
  ),
  BAILIWICK_REDIS_CA: setting(
    'PEM file of the authorities for `rediss://`. Without it: the machine’s own.',
    '/etc/bailiwick/redis-ca.pem',
    z.string().optional(),
  ),
  BAILIWICK_DEV: setting(
    '`1`: a single broker is enough, and Kafka and Redis may be used without TLS and login. For development.',
    '1',
    flag,
  ),
  BAILIWICK_KEYS_SECRET_FILE: setting(
    'File with the secret, random or a passphrase, that encrypts private keys ([keys](../operate/keys.md)).',
    '/run/credentials/keys-secret',
    z.string().optional(),
  ),
  BAILIWICK_LOG_LEVEL: setting(
    'The least level of log lines: `silent`, `fatal`, `error`, `warn`, `info`, `debug` or `trace`.',
    'warn',
    z.enum(logLevels).default('info'),
  ),
  BAILIWICK_MAX_STALENESS: setting(
    'How old the last head may be (DESIGN §5). A larger value widens the window of V7 by as much.',
    '1500ms',
    duration(1000, 10_000).default(2000),
  ),
  BAILIWICK_TLS: setting(
    '`none`; `terminated` behind a front that ends TLS; or two PEM files, certificate and key.',
    '/etc/bailiwick/tls.pem,/etc/bailiwick/tls-key.pem',
    tls.default('none'),
  ),
  BAILIWICK_HOSTS: setting(
    'Names of this process besides its public address and the loopback’s. Requests for another host are refused (421).',
    'evidence,evidence.internal',
    hosts.default([]),
  ),
  BAILIWICK_SERVICES: setting(
    'Where the other services answer. `bailiwick status` asks there whether they are ready. A service may be listed more than once.',
    'issuer=http://issuer:8422,evidence=http://evidence:8424',
    services.default([]),
  ),
  BAILIWICK_TRUSTED_PROXIES: setting(
    'The proxies whose `X-Forwarded-For` is believed, as addresses or networks. Without it: none, so all clients behind a proxy count as one caller.',
    '10.1.0.0/16,2001:db8::7',
    networks.optional(),
  ),
  BAILIWICK_STRANGER_REQUESTS_PER_SECOND: setting(
    'Requests without a verified caller that one network may send a second; ten times that at once. More get 429.',
    '20',
    whole(1, 1_000_000).default(strangerLimits.perSecond),
  ),
  BAILIWICK_METRICS: setting(
    'Who may read `/metrics`: `loopback`, or `anyone` that reaches the port. With `anyone`, a front must block it from outside.',
    'anyone',
    z.enum(['loopback', 'anyone']).default('loopback'),
  ),
})

/** For one decision point. Generous: an approved task reaches the limit of its own budget first. */
export const defaultQuotas = { agentDecisionsPerMinute: 6000, grantDecisionsPerMinute: 3000 }

/** ms, for one decision. */
export const defaultDecisionDeadlineMs = 1000

/** Of the decisions by compiled policies. */
export const defaultCompareOneIn = 1000

/** For a process that decides by policies. */
export const engineSettings = {
  BAILIWICK_COMPARE_ONE_IN: setting(
    'Of this many decisions by compiled policies one, chosen by chance, is also put to Cedar, after its answer. If the two differ, Cedar alone decides by that set.',
    '100',
    whole(1, 1_000_000_000).default(defaultCompareOneIn),
  ),
}

/** For a process in which policy-decision runs. */
export const decisionSettings = {
  ...engineSettings,
  BAILIWICK_DECISIONS_PER_MINUTE_AGENT: setting(
    'Decisions that one agent may get here a minute, over all its instances and tasks. More get 429.',
    '600',
    whole(1, 10_000_000).default(defaultQuotas.agentDecisionsPerMinute),
  ),
  BAILIWICK_DECISIONS_PER_MINUTE_GRANT: setting(
    'The same for one grant, with everything delegated from it.',
    '300',
    whole(1, 10_000_000).default(defaultQuotas.grantDecisionsPerMinute),
  ),
  BAILIWICK_DECISION_DEADLINE: setting(
    'The time for one decision, evidence included. A later one is a denial. Enforcement points must wait longer.',
    '500ms',
    duration(100, 10_000).default(defaultDecisionDeadlineMs),
  ),
  BAILIWICK_KEEP_CALLS: setting(
    '`1`: the arguments of allowed calls are kept beside the log until they are erased ([erasure](../audit/erasure.md)).',
    '1',
    flag,
  ),
}

/** For a process in which the issuer runs. */
export const issuerSettings = {
  BAILIWICK_KEY_ROTATION_DAYS: setting(
    'Days that a key signs until a prepared key replaces it automatically; `0`: never ([keys](../operate/keys.md)).',
    '90',
    whole(0, 3650).default(30),
  ),
  BAILIWICK_CREDENTIAL_SECONDS: setting('Seconds that a credential lives.', '120', whole(10, 600).default(300)),
  BAILIWICK_AGENT_CALLS_PER_SECOND: setting(
    'Calls a second that one agent may make to the issuer over all its instances, with bursts of ten times that.',
    '20',
    whole(1, 1_000_000).default(100),
  ),
}

export type NotificationFormat = 'json' | 'slack'

/** For a process in which approval runs: how people are notified of waiting requests. */
export const notifySettings = {
  BAILIWICK_NOTIFY_WEBHOOK: setting(
    'Where notifications are posted: https, or http to this machine. A secret: its holder can post there ([notifications](../how-to/notifications.md)).',
    'https://hooks.example/T0/B0',
    webhook.optional(),
  ),
  BAILIWICK_NOTIFY_FORMAT: setting(
    'The form of notifications: `json`, or `slack`.',
    'slack',
    z.enum(['json', 'slack']).default('json'),
  ),
}

/** For a process in which approval runs: how long people have. */
export const askSettings = {
  BAILIWICK_REQUEST_SECONDS: setting(
    'Seconds for which a request can be answered.',
    '7200',
    whole(60, 8 * 3600).default(3600),
  ),
}

/** For a process in which evidence runs. */
export const logSettings = {
  BAILIWICK_LOG_PUBLIC: setting(
    '`1`: everyone may read tiles, proofs and traces. Otherwise only this machine, and registered auditors.',
    '1',
    flag,
  ),
  BAILIWICK_WITNESS_POLICY: setting(
    'A policy file (C2SP `tlog-policy`): its witnesses cosign checkpoints ([witnesses](../audit/witness.md)).',
    '/etc/bailiwick/witness-policy',
    z.string().optional(),
  ),
}

/** For a process in which evidence runs: where its events go in addition to the bus (docs/audit/siem.md). */
export const sinkSettings = {
  BAILIWICK_SINK_OTLP: setting(
    'OTLP/HTTP endpoint for logs: https, or http to this machine. `/v1/logs` is added if it has no path ([SIEM](../audit/siem.md)).',
    'https://collector.example:4318',
    otlpEndpoint.optional(),
  ),
  BAILIWICK_SINK_OTLP_HEADERS_FILE: setting(
    'File of headers that the endpoint requires, such as `authorization: Bearer …`, one a line.',
    '/etc/bailiwick/otlp-headers',
    z.string().optional(),
  ),
  BAILIWICK_SINK_FILE: setting(
    'File that gets one line of JSON for each leaf.',
    '/var/log/bailiwick/evidence.ndjson',
    z.string().max(4000).optional(),
  ),
  BAILIWICK_SINK_FILE_BYTES: setting(
    'Size in bytes after which that file is rotated.',
    '16777216',
    whole(1024 * 1024, 2 ** 40).default(64 * 1024 * 1024),
  ),
  BAILIWICK_SINK_FILE_KEEP: setting('How many rotated files are kept.', '30', whole(1, 10_000).default(16)),
  BAILIWICK_SINK_BACKLOG: setting(
    'How many leaves a sink may be behind. Older ones are dropped, counted, and reported as a finding.',
    '100000',
    whole(1000, 1_000_000_000).default(1_000_000),
  ),
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
