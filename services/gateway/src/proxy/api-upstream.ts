import type { Action } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import type { Permitted } from '@bailiwick/pep'
import {
  type Executed,
  httpUpstream,
  type RawHeaders,
  type Refused,
  type RelayRequest,
  type SecretPort,
  type Upstream,
} from '@bailiwick/relay'
import type { ApiEntry } from './api-entry.ts'
import { toActionOf } from './operations.ts'

export interface ApiUpstreamOptions {
  /** The entry's name. */
  name: string
  entry: ApiEntry
  secrets: SecretPort
  /** How long the API may take to begin an answer, and how long it may be silent inside one, in ms. */
  headMs: number
  idleMs: number
}

/** The fields of an answer that a client needs. All others stay here, above all those about caches, cookies and browsers. */
const usual: ReadonlySet<string> = new Set([
  'allow',
  'content-disposition',
  'content-language',
  'content-length',
  'content-type',
  'deprecation',
  'etag',
  'last-modified',
  'link',
  'retry-after',
  'sunset',
  'x-accel-buffering',
])

/** An HTTP API as the upstream of a relay. Requests have the path below the API's URL. Throws `config_invalid`. */
export class ApiUpstream implements Upstream {
  readonly toAction: (request: RelayRequest) => Action | Refused
  readonly #http: Upstream
  readonly #shown: ReadonlySet<string>

  constructor({ name, entry, secrets, headMs, idleMs }: ApiUpstreamOptions) {
    const { url, forward, answer, server = name } = entry
    this.toAction = toActionOf(name, entry)
    this.#shown = new Set([...usual, ...answer])
    this.#http = httpUpstream({
      ...{ name: server, url, forward, secrets, headMs, idleMs },
      isPrivate: entry.private,
      inject: entry.inject.headers,
    })
  }

  async execute(permitted: Permitted, request: RelayRequest): Promise<Executed> {
    const executed = await this.#http.execute(permitted, request)
    const { status } = executed
    if (status === 401 || status === 407) {
      await executed.body[Symbol.asyncIterator]().return?.()
      // The client would take it for a word about its own credential, and the body may quote the gateway's.
      throw new ServiceError('upstream_failed', 'the API does not accept the credential of the gateway')
    }
    return { ...executed, headers: this.#passedBack(status, executed.headers) }
  }

  /** A new resource has an address, which is no redirect. */
  #passedBack(status: number, headers: RawHeaders): RawHeaders {
    const isShown = (field: string) => this.#shown.has(field) || (field === 'location' && status < 300)
    return headers.filter((_, at) => isShown((headers[at - (at % 2)] ?? '').toLowerCase()))
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    return this.#http[Symbol.asyncDispose]()
  }
}
