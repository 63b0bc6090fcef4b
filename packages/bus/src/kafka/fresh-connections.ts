import { createRequire } from 'node:module'
import type { Socket } from 'node:net'

interface Connection {
  readonly broker: string
  readonly requestTimeout: number
  connectionTimeout: number
  socket?: Socket
  isConnected(): boolean
  connect(): Promise<boolean>
  disconnect(): Promise<boolean>
  rejectRequests(error: unknown): void
}
interface Authenticator {
  readonly connection: Connection
  saslHandshake: (options: object) => object
  protocolAuthentication: ((options: object) => object) | null
  authenticate(): Promise<void>
}
interface Broker {
  readonly connectionPool: { connectionTimeout: number; pool: [Connection, Connection] }
  apiVersions(): Promise<unknown>
}
interface Class<T> {
  prototype: T
}

/** The time-out for each broker: doubled after the broker was late, and halved once it needs less than half of it. */
class Patience {
  readonly #most: number
  /** The factor on the configured time-out, by broker. A process knows few brokers. */
  readonly #factors = new Map<string, number>()

  constructor(most: number) {
    this.#most = most
  }

  /** Runs `attempt` with its time-out. `isLate` tells whether its error means that the time ran out. */
  async give<T>(
    broker: string,
    set: number,
    attempt: (ms: number) => Promise<T>,
    isLate: (error: unknown) => boolean,
  ): Promise<T> {
    const factor = this.#factors.get(broker) ?? 1
    const ms = set * factor
    let quick = true
    const half = setTimeout(() => {
      quick = false
    }, ms / 2)
    try {
      const result = await attempt(ms)
      if (quick && factor > 1) this.#factors.set(broker, factor / 2)
      return result
    } catch (error) {
      if (isLate(error)) this.#factors.set(broker, Math.min(this.#most, 2 * factor))
      throw error
    } finally {
      clearTimeout(half)
    }
  }

  get slowest(): number {
    return Math.max(1, ...this.#factors.values())
  }
}

/** From 1 s to 8 s. */
const toConnect = new Patience(8)
/** From 5 s to 20 s: for the request for the broker's versions before a login, and for each request of the login. */
const toAsk = new Patience(4)
const toLogIn = new Patience(4)

/** The factor by which the time-outs of the slowest broker have grown. A time-out around them must grow as well. */
export function slowestFactor(): number {
  return Math.max(toAsk.slowest, toLogIn.slowest)
}

/**
 * Makes kafkajs 2.2.4 start afresh after a connection or a login that timed out (decision 51). By itself it keeps the connection, on which
 * the broker waits for the rest of the first login and answers every other login with ILLEGAL_SASL_STATE, for as long as the
 * connection lives. A socket that was given up may also connect, send or end later, and kafkajs mistakes these events for those of its
 * successor. The time-outs double meanwhile: a machine that is too busy to answer in 5 s would otherwise miss every time-out of 5 s.
 *
 * Returns false if kafkajs is not the code that this was written for.
 */
export function beginAnewWhenLate(): boolean {
  const require = createRequire(import.meta.url)
  const connections = require('kafkajs/src/network/connection') as Class<Connection>
  const logins = require('kafkajs/src/broker/saslAuthenticator') as Class<Authenticator>
  const brokers = require('kafkajs/src/broker') as Class<Broker>
  const { connect, disconnect } = connections.prototype
  const { authenticate } = logins.prototype
  const { apiVersions } = brokers.prototype
  if ([connect, disconnect, authenticate, apiVersions].some((one) => typeof one !== 'function')) return false

  const connecting = new WeakMap<Connection, Promise<boolean>>()
  const first = new WeakMap<Connection, number>()
  // A system error has a code. A broker that does not answer causes an error without one.
  const unanswered = (error: unknown) => (error as { code?: unknown }).code === undefined
  const connectOnce = (connection: Connection): Promise<boolean> => {
    const set = first.get(connection) ?? connection.connectionTimeout
    first.set(connection, set)
    // Drops a frame that the last socket left unfinished.
    Object.assign(connection, { chunks: [], bytesBuffered: 0, bytesNeeded: 4 })
    const attempt = (ms: number) => {
      connection.connectionTimeout = ms
      return connect.call(connection)
    }
    return toConnect.give(connection.broker, set, attempt, unanswered)
  }
  // One attempt for all concurrent calls: otherwise each call would open its own socket, and all sockets would feed one reader.
  connections.prototype.connect = function connectAlone() {
    if (this.isConnected()) return Promise.resolve(true)
    const under = connecting.get(this) ?? connectOnce(this).finally(() => connecting.delete(this))
    connecting.set(this, under)
    return under
  }
  connections.prototype.disconnect = async function disconnectForGood() {
    const { socket } = this
    try {
      return await disconnect.call(this)
    } finally {
      socket?.destroy()
    }
  }

  const ranOut = (error: unknown) => (error as { name?: unknown }).name === 'KafkaJSRequestTimeoutError'
  /** A login step. After a failed step the broker accepts no other login on this connection. */
  const step = async <T>(to: Patience, connection: Connection, attempt: (ms: number) => Promise<T>): Promise<T> => {
    try {
      return await to.give(connection.broker, connection.requestTimeout, attempt, ranOut)
    } catch (error) {
      connection.rejectRequests(error)
      await connection.disconnect()
      throw error
    }
  }
  logins.prototype.authenticate = function authenticateOnce() {
    return step(toLogIn, this.connection, (requestTimeout) => {
      const within = (make: (options: object) => object) => (options: object) => ({ ...make(options), requestTimeout })
      this.saslHandshake = within(this.saslHandshake)
      if (this.protocolAuthentication) this.protocolAuthentication = within(this.protocolAuthentication)
      return authenticate.call(this)
    })
  }
  brokers.prototype.apiVersions = function apiVersionsOnce() {
    const { connectionPool } = this
    const [connection] = connectionPool.pool
    return step(toAsk, connection, (ms) => {
      connectionPool.connectionTimeout = ms // the time-out of this request
      return apiVersions.call(this)
    })
  }
  return true
}
