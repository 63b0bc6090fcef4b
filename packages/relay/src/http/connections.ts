import { hash } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { ServiceError } from '@bailiwick/errors'
import { Client } from 'undici'
import { guardedLookup, type Resolve } from './lookup.ts'

export interface ConnectionOptions {
  /** Scheme, host and port. */
  origin: string
  /** Whether the name may lead to private addresses. */
  isPrivate: boolean
  /** The most calls under way at the same time, each on its own connection. */
  mostCalls: number
  connectMs: number
  headMs: number
  /** The longest pause between two parts of an answer. */
  idleMs: number
  /** A certificate authority to trust instead of the system's. */
  ca?: string | undefined
  resolve?: Resolve | undefined
}

/** Idle connections are closed after this time: if the server closed one first, a call that was just sent on it would be lost. */
const keepAliveMs = 4000
const mostIdle = 64
const longestHead = 32_768

/**
 * The connections to one upstream with one secret. A call has its connection to itself, and no call waits inside a connection for another
 * one: so an answer that was not asked for matches no call, and ends the connection.
 */
export class Connections implements AsyncDisposable {
  readonly #options: ConnectionOptions
  readonly #idle: Client[] = []
  readonly #busy = new Set<Client>()
  /** What left HTTP. Its client does not know it any more, and would not close it. */
  readonly #upgraded = new Set<Duplex>()
  #closed = false
  #isOver = false

  constructor(options: ConnectionOptions) {
    this.#options = options
  }

  /** A connection for one call. Throws `upstream_busy`. Give it back with `release`. */
  take(): Client {
    if (this.#closed) throw new ServiceError('upstream_busy', 'the upstream is being closed')
    if (this.#busy.size >= this.#options.mostCalls) throw new ServiceError('upstream_busy')
    const client = this.#idle.pop() ?? this.#open()
    this.#busy.add(client)
    return client
  }

  /** `isWhole`: the answer ended as it should, so that the connection may serve another call. */
  release(client: Client, isWhole: boolean): void {
    this.#busy.delete(client)
    if (!isWhole || this.#closed || this.#idle.length >= mostIdle) void destroy(client)
    // Only in a later turn: a surplus answer in the same packet must end the connection before it is used again.
    else setImmediate(() => (this.#closed ? void destroy(client) : this.#idle.push(client)))
  }

  /** Closes the socket of an upgraded connection with the others. */
  adopt(socket: Duplex): void {
    if (this.#isOver) socket.destroy()
    this.#upgraded.add(socket)
    socket.once('close', () => this.#upgraded.delete(socket))
  }

  /** Whether no call is under way. */
  get isIdle(): boolean {
    return this.#busy.size === 0
  }

  #open(): Client {
    const { origin, isPrivate, connectMs, headMs, idleMs, ca, resolve } = this.#options
    return new Client(origin, {
      allowH2: false,
      pipelining: 1,
      strictContentLength: true,
      maxHeaderSize: longestHead,
      headersTimeout: headMs,
      bodyTimeout: idleMs,
      keepAliveTimeout: keepAliveMs,
      keepAliveMaxTimeout: keepAliveMs,
      connect: {
        timeout: connectMs,
        lookup: guardedLookup(isPrivate, resolve),
        minVersion: 'TLSv1.2',
        rejectUnauthorized: true, // even if the environment disables it
        ...(ca === undefined ? {} : { ca }),
      },
    })
  }

  /** Lets the calls under way end, and closes the others. */
  async retire(): Promise<void> {
    this.#closed = true
    await Promise.all(this.#idle.splice(0).map(destroy))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true
    for (const socket of this.#upgraded) socket.destroy()
    await this.retire()
    await Promise.all([...this.#busy].map(destroy))
  }
}

const destroy = (client: Client): Promise<void> => client.destroy().catch(() => undefined)

/**
 * The connections to one upstream, by the secret that they carry: those that carried one are not used with another, because the upstream may
 * remember whom a connection belongs to.
 */
export class ConnectionsBySecret implements AsyncDisposable {
  readonly #options: ConnectionOptions
  #current: { of: string; connections: Connections } | undefined
  /** Those with an earlier secret, on which calls may still be under way. */
  readonly #earlier = new Set<Connections>()
  #isOver = false

  constructor(options: ConnectionOptions) {
    this.#options = options
  }

  /** Those that carry these texts. Calls under way are not disturbed: they keep the connections that they took. Throws `upstream_busy` at the end. */
  carrying(texts: readonly string[]): Connections {
    if (this.#isOver) throw new ServiceError('upstream_busy', 'the upstream is being closed')
    const of = hash('sha256', JSON.stringify(texts))
    if (this.#current?.of === of) return this.#current.connections
    if (this.#current !== undefined) this.#retire(this.#current.connections)
    const connections = new Connections(this.#options)
    this.#current = { of, connections }
    return connections
  }

  #retire(connections: Connections): void {
    for (const each of this.#earlier) if (each.isIdle) this.#earlier.delete(each)
    this.#earlier.add(connections)
    void connections.retire()
  }

  /** Ends the calls under way, with any secret. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true
    const all = [this.#current?.connections, ...this.#earlier]
    await Promise.all(all.map((each) => each?.[Symbol.asyncDispose]()))
  }
}
