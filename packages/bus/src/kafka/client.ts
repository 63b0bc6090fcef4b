import { createRequire } from 'node:module'
import { ServiceError } from '@bailiwick/errors'
import kafkajs, { type Kafka, type LogEntry } from 'kafkajs'
import type { KafkaConnection } from './connection.ts'
import { beginAnewWhenLate } from './fresh-connections.ts'
import { scram } from './scram.ts'

/** The only version whose internals were read and measured (KAFKA.md rules 13, 17). */
const VERSION = '2.2.4'

/** KAFKA.md rule 7: use none of kafkajs's defaults, which also depend on NODE_ENV. */
export const settings = {
  /** The initial time-outs: of a connection, TLS included, and of a request or a login step. Both grow (`fresh-connections`). */
  connectionTimeout: 1000,
  requestTimeout: 5000,
  /** How long other requests wait for the one that connects. It does not limit a login; the time-outs above do. */
  authenticationTimeout: 60_000,
  /** For one connection attempt. A caller that waits for the broker repeats it, beginning with another broker each time. */
  connectRetry: { initialRetryTime: 100, maxRetryTime: 1000, retries: 2 },
  /** For one `send`. The lane repeats it and handles its errors. */
  sendRetry: { initialRetryTime: 100, maxRetryTime: 1000, retries: 2 },
  metadataMaxAge: 3000,
}

interface RequestQueue {
  prototype: { scheduleCheckPendingRequests?: (this: { pending: readonly unknown[] }) => void }
}

interface Runner {
  prototype: { fetch?: (this: { running: boolean }, nodeId: number) => Promise<unknown[]> }
}

const require = createRequire(import.meta.url)
let prepared = false

/**
 * Patches kafkajs, once per process and before any client is made (KAFKA.md rule 17). It fixes three faults. Its request queue rearms a
 * timer about every millisecond even when nothing waits, which costs 4 % of a core in an idle process. A consumer that ends while
 * its brokers change starts its fetchers once more; these then ask without end a broker that answers at once, so that no timer of
 * the process ever fires again. And a client whose login was late goes on with the same connection (`fresh-connections`).
 * Throws `config_invalid` if kafkajs is not the version that was measured.
 */
function prepare(): void {
  if (prepared) return
  const { version } = require('kafkajs/package.json') as { version: string }
  const { prototype } = require('kafkajs/src/network/requestQueue') as RequestQueue
  const { prototype: runner } = require('kafkajs/src/consumer/runner') as Runner
  const schedule = prototype.scheduleCheckPendingRequests
  const { fetch } = runner
  const fits = version === VERSION && typeof schedule === 'function' && typeof fetch === 'function'
  if (!fits || !beginAnewWhenLate()) {
    throw new ServiceError('config_invalid', `kafkajs ${version} was never measured: only ${VERSION} is`)
  }
  prototype.scheduleCheckPendingRequests = function scheduleWhenNeeded() {
    if (this.pending.length > 0) schedule.call(this)
  }
  // Retriable: kafkajs then checks again whether it still runs, and ends.
  runner.fetch = async function fetchWhileRunning(nodeId) {
    if (!this.running) throw new kafkajs.KafkaJSError('the consumer has ended', { retriable: true })
    return fetch.call(this, nodeId)
  }
  prepared = true
}

/** The configuration of a kafkajs client. `turn` determines the broker that it begins with. */
export function clientConfig({ brokers, clientId, tls, sasl, timeouts = settings }: KafkaConnection, turn = 0) {
  const first = brokers.length === 0 ? 0 : turn % brokers.length
  return {
    brokers: [...brokers.slice(first), ...brokers.slice(0, first)],
    clientId,
    ...(tls === undefined ? {} : { ssl: { ca: [tls.ca] } }),
    ...(sasl === undefined ? {} : { sasl: scram(sasl) }),
    connectionTimeout: timeouts.connectionTimeout,
    authenticationTimeout: settings.authenticationTimeout,
    requestTimeout: timeouts.requestTimeout,
    enforceRequestTimeout: true,
    retry: settings.connectRetry,
  }
}

/** A kafkajs client, not connected yet. It reports to `log`, from which `noise` makes our own log lines. */
export function kafkaClient(connection: KafkaConnection, log: (entry: LogEntry) => void, turn = 0): Kafka {
  prepare()
  return new kafkajs.Kafka({ ...clientConfig(connection, turn), logCreator: () => log })
}
