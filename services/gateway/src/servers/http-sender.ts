import { hash } from 'node:crypto'
import {
  type Answered,
  Connections,
  exchange,
  passedOn,
  type RawHeaders,
  type SecretPort,
  withoutSecrets,
} from '@bailiwick/relay'
import { mostConnections } from '../descriptors.ts'
import { longestMessage } from '../protocol/screen.ts'
import { fillTemplate, type Template } from '../template.ts'

export interface HttpSenderOptions {
  url: string
  /** The fields that are added for this upstream, with its secrets. */
  inject: Readonly<Record<string, Template>>
  secrets: Pick<SecretPort, 'read'>
  /** Whether the name may resolve to private addresses. */
  isPrivate: boolean
  /** The time to the head of an answer, in ms. */
  headMs: number
}

/** A request as it is sent, without the fields that are added for the upstream. */
export interface SentOn {
  method: string
  headers: RawHeaders
  body: Uint8Array
  /** The path and query below the address, with a slash at its beginning. The address must then have no query. */
  below?: string
  /** Bytes that are sent after the body, as they arrive. */
  following?: AsyncIterable<Uint8Array> | undefined
}

/** A stream may last as long as its grant, so only a single message is bounded (`longestMessage`). */
const mostBytes = 1024 * longestMessage
const connectMs = 5000
/** How long a server may be silent on a stream: as long as the gateway lets a stream last. */
const idleMs = 3_600_000

/**
 * Sends requests to one MCP server, each once, with the server's secrets in separate fields. No secret comes back: an answer that holds one
 * is cut. Connections that carried one secret are not used with another.
 */
export class HttpSender implements AsyncDisposable {
  readonly #options: HttpSenderOptions
  readonly #origin: string
  readonly #target: string
  #current: { of: string; connections: Connections } | undefined

  constructor(options: HttpSenderOptions) {
    const { origin, pathname, search } = new URL(options.url)
    this.#options = options
    this.#origin = origin
    this.#target = `${pathname}${search}`
  }

  /** Rejects with `upstream_…`, and with `secret_unavailable`; the answer's body fails with the same codes. */
  async send({ method, headers, body, below = '', following }: SentOn, signal: AbortSignal): Promise<Answered> {
    const { inject, secrets, headMs } = this.#options
    const own = await Promise.all(
      Object.entries(inject).map(async ([name, template]) => ({ name, ...(await fillTemplate(template, secrets)) })),
    )
    signal.throwIfAborted()
    const connections = this.#connections(own.map(({ text }) => text))
    const client = connections.take()
    const kept = headers.filter((_, n) => !Object.hasOwn(inject, (headers[n - (n % 2)] ?? '').toLowerCase()))
    const sent = [...kept, ...own.flatMap(({ name, text }) => [name, text]), 'accept-encoding', 'identity']
    const answered = await exchange(
      client,
      {
        method,
        target: below === '' ? this.#target : `${this.#target.replace(/\/$/, '')}${below}`,
        headers: sent,
        body,
        following,
      },
      { headMs, mostBytes },
      signal,
      (isWhole) => connections.release(client, isWhole),
    )
    const hidden = own.flatMap(({ values }) => values)
    return {
      ...answered,
      headers: passedOn(answered.headers, hidden),
      body: withoutSecrets(answered.body, hidden),
    }
  }

  #connections(fields: readonly string[]): Connections {
    const of = hash('sha256', JSON.stringify(fields))
    if (this.#current?.of !== of) {
      // Calls under way are not disturbed: they keep the connections that they took.
      void this.#current?.connections.retire()
      const { isPrivate, headMs } = this.#options
      const options = { origin: this.#origin, isPrivate, mostCalls: mostConnections, connectMs, headMs, idleMs }
      this.#current = { of, connections: new Connections(options) }
    }
    return this.#current.connections
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#current?.connections[Symbol.asyncDispose]()
  }
}
