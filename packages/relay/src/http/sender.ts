import { randomBytes } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { ServiceError } from '@bailiwick/errors'
import { fieldsOf } from '@bailiwick/kit'
import type { Client } from 'undici'
import type { SecretPort } from '../secrets/secret-port.ts'
import { fillTemplate, secretsIn, type Template } from '../secrets/template.ts'
import { fewBytes, withoutSecrets } from '../secrets/without-secrets.ts'
import type { RawHeaders } from '../upstream.ts'
import { passedOn } from './answer-headers.ts'
import { type ConnectionOptions, ConnectionsBySecret } from './connections.ts'
import { type Answered, exchange, type Sent } from './exchange.ts'
import { type Opened, openWebSocket } from './websocket.ts'

export interface SenderOptions extends Omit<ConnectionOptions, 'origin'> {
  /** With a path, and with a query only if no request names a target below it. */
  url: string
  /** The fields that are added to each request, with secrets in them. Their names are in lower case. */
  inject: Readonly<Record<string, Template>>
  secrets: Pick<SecretPort, 'check' | 'read' | 'doubt'>
  /** The longest answer, in bytes. */
  mostBytes: number
  /**
   * The caller keeps the session with the upstream. It gets redirects and all fields of a head as received, and must show its client neither
   * the session nor where a redirect leads. Default: no.
   */
  keepsSession?: boolean
}

/** A request without the fields that are added for the upstream. One of the same name is left out. */
export interface Unsent extends Omit<Sent, 'target'> {
  /** The path and query below the URL, with a slash at its beginning. Default: the URL itself. */
  below?: string | undefined
}

/** Statuses by which an upstream may refuse the secret of a request. */
const refusesSecret: ReadonlySet<number> = new Set([401, 403, 407])

interface Line {
  client: Client
  headers: RawHeaders
  /** The values of the secrets in `headers`. */
  hidden: readonly string[]
  release: (isWhole: boolean) => void
  /** Closes what left HTTP with the upstream. */
  adopt: (socket: Duplex) => void
}

/**
 * Sends requests to one upstream, each once, with the upstream's secrets in fields of their own. No secret comes back: a field of an answer
 * that holds one is left out, and a body is cut (`answer_withheld`). Connections that carried one secret are not used with another: the
 * upstream may remember whom a connection belongs to. No redirect is followed, and no encoded answer is read.
 */
export class Sender implements AsyncDisposable {
  readonly #options: SenderOptions
  readonly #target: string
  readonly #all: ConnectionsBySecret

  /** Throws `config_invalid` for a reference to a secret that can never be read. */
  constructor(options: SenderOptions) {
    const { origin, pathname, search } = new URL(options.url)
    for (const reference of Object.values(options.inject).flatMap(secretsIn)) options.secrets.check(reference)
    this.#options = options
    this.#target = `${pathname}${search}`
    this.#all = new ConnectionsBySecret({ ...options, origin })
  }

  /** Rejects with `upstream_…`, and with `secret_unavailable`. The answer's body fails with the same codes. */
  async send({ method, headers, body, below, following }: Unsent, signal: AbortSignal): Promise<Answered> {
    const line = await this.#take(headers, signal)
    const sent = { method, target: this.#below(below), headers: [...line.headers, 'accept-encoding', 'identity'], body }
    const answered = await exchange(line.client, { ...sent, following }, this.#options, signal, line.release)
    const { keepsSession = false, inject, secrets } = this.#options
    // The secret may have been rotated: this call is not sent again, but the next one has the new secret.
    if (refusesSecret.has(answered.status))
      for (const reference of Object.values(inject).flatMap(secretsIn)) secrets.doubt(reference)
    const { status, headers: theirs, body: bytes } = checked(answered, keepsSession)
    const shown = keepsSession ? theirs : passedOn(theirs, line.hidden)
    return { status, headers: shown, body: withoutSecrets(bytes, line.hidden) }
  }

  /** As `send`, for a handshake (`openWebSocket`). */
  async openWebSocket({ headers, below }: Pick<Unsent, 'headers' | 'below'>, signal: AbortSignal): Promise<Opened> {
    const line = await this.#take(headers, signal)
    const opening = { target: this.#below(below), headers: line.headers, key: randomBytes(16).toString('base64') }
    const { headMs } = this.#options
    const opened = await openWebSocket(line.client, opening, headMs, signal, () => line.release(false))
    line.adopt(opened.socket)
    const chosen = opened.protocol === undefined ? [] : ['sec-websocket-protocol', opened.protocol]
    const [, protocol] = passedOn(chosen, line.hidden)
    return { ...opened, protocol, body: withoutSecrets(opened.body, line.hidden, fewBytes) }
  }

  /** A connection for one call, and the fields that are sent on it. */
  async #take(headers: RawHeaders, signal: AbortSignal): Promise<Line> {
    const { inject, secrets } = this.#options
    const own = await Promise.all(
      Object.entries(inject).map(async ([name, template]) => ({ name, ...(await fillTemplate(template, secrets)) })),
    )
    signal.throwIfAborted()
    const connections = this.#all.carrying(own.map(({ text }) => text))
    const client = connections.take()
    const kept = headers.filter((_, at) => !Object.hasOwn(inject, (headers[at - (at % 2)] ?? '').toLowerCase()))
    return {
      client,
      headers: [...kept, ...own.flatMap(({ name, text }) => [name, text])],
      hidden: own.flatMap(({ values }) => values),
      release: (isWhole) => connections.release(client, isWhole),
      adopt: (socket) => connections.adopt(socket),
    }
  }

  #below(below: string | undefined): string {
    return below === undefined ? this.#target : `${this.#target.replace(/\/$/, '')}${below}`
  }

  /** Ends the calls under way, also those that carry an earlier secret. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#all[Symbol.asyncDispose]()
  }
}

/** Refuses answers that would lead the client elsewhere, or that cannot be read as they are. It looks at the fields as received. */
function checked(answered: Answered, mayRedirect: boolean): Answered {
  const { status, headers, body } = answered
  const refuse = (code: 'upstream_redirected' | 'upstream_failed', detail?: string) => {
    void body.return?.()
    return new ServiceError(code, detail)
  }
  if (!mayRedirect && status >= 300 && status < 400 && status !== 304) throw refuse('upstream_redirected')
  if (fieldsOf(headers, 'content-encoding').some((text) => text.toLowerCase() !== 'identity'))
    throw refuse('upstream_failed', 'an encoded answer, which was not asked for')
  return answered
}
