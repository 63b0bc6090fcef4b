import { ServiceError } from '@bailiwick/errors'
import type { EnforcementPoint, Refusal } from '@bailiwick/pep'
import {
  type Caller,
  fieldOf,
  isHandshake,
  openRelay,
  type Refused,
  type Relayed,
  type RelayRequest,
  type SecretPort,
} from '@bailiwick/relay'
import { Calls } from '../calls.ts'
import { audienceFault, readClaims } from '../mcp/claims.ts'
import { Shares } from '../mcp/shares.ts'
import type { Behind } from '../served.ts'
import type { ApiEntry } from './api-entry.ts'
import { apiManifest } from './api-manifest.ts'
import { ApiUpstream } from './api-upstream.ts'

export interface ApiOptions {
  name: string
  entry: ApiEntry
  point: EnforcementPoint
  secrets: SecretPort
  /** What each agent has at all servers, APIs and providers. */
  shares: Shares
  /** The gateway's own address, without a path. */
  publicUrl: string
  /** Further audiences that mean every API: the gateway's address, and the installation's. */
  audiences: readonly string[]
  /** How long a stream may last, in seconds. Any other answer may take five minutes. */
  streamSeconds: number
  /** How long an API may take to begin an answer, in ms. */
  headMs: number
}

/** Answers of one API that one agent may have at the same time: a quarter of the connections to it. */
const mostOfOneAgent = 64
const wholeSeconds = 300

/** One HTTP API: it has each request decided, and sent once. */
export class Api implements Behind {
  readonly entry: ApiEntry
  /** Its address as agents know it, without a slash at its end: the audience of credentials for it alone. */
  readonly address: string
  readonly #options: ApiOptions
  readonly #upstream: ApiUpstream
  /** What each agent has of its connections. */
  readonly #here = new Shares(() => ({ streams: mostOfOneAgent, processes: 0, sessions: 0 }))
  readonly #calls = new Calls()

  /** Throws `config_invalid`. */
  constructor(options: ApiOptions) {
    const { name, entry, secrets, headMs, streamSeconds, publicUrl } = options
    this.#options = options
    this.entry = entry
    const own = new URL(publicUrl)
    if (entry.host === own.hostname)
      throw new ServiceError('config_invalid', `http.${name}.host: this is the host of the gateway itself`)
    this.address =
      entry.host === undefined ? `${publicUrl}/http/${name}` : Object.assign(own, { hostname: entry.host }).origin
    this.#upstream = new ApiUpstream({ name, entry, secrets, headMs, idleMs: streamSeconds * 1000 })
  }

  /** The tool server that it is in the registry; undefined if it has no operations. */
  get toolServer(): string | undefined {
    const { name, entry } = this.#options
    return entry.operations === undefined ? undefined : (entry.server ?? name)
  }

  /** Whether one of its operations opens a WebSocket. */
  get opensWebSockets(): boolean {
    return Object.values(this.entry.operations ?? {}).some(({ websocket }) => websocket)
  }

  /** Decides a request, whose target begins below the API's URL, and sends it on. As `Relay.run`. */
  call(request: RelayRequest, caller: Caller, gone: AbortSignal): Promise<Relayed | Refusal | Refused> {
    return this.#calls.run(() => this.#call(request, caller, gone))
  }

  async #call(request: RelayRequest, caller: Caller, gone: AbortSignal): Promise<Relayed | Refusal | Refused> {
    const { point, shares, streamSeconds, audiences } = this.#options
    const reason = audienceFault(caller.credential, [this.address, ...audiences])
    if (reason !== undefined) return { allowed: false, reason }
    const [upstream, here] = [this.#upstream, this.#here]
    const agent = readClaims(caller.credential)?.owner.agent
    if (agent !== undefined) for (const each of [shares, here]) each.checkStreams(agent)
    const relay = openRelay({
      ...{ point, manifest: apiManifest(this.entry) },
      upstream: agent === undefined ? upstream : shares.inShare(here.inShare(upstream, agent), agent),
      // The reservation of a call whose outcome is lost is held for as long, so only what asks for a stream has so much time.
      answerSeconds: ({ headers }) =>
        isHandshake({ headers }) || asksForStream(fieldOf(headers, 'accept')) ? streamSeconds : wholeSeconds,
    })
    return relay.run(request, caller, gone)
  }

  retire(): Promise<void> {
    return this.#calls.retire()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    void this.#calls.retire()
    await this.#upstream[Symbol.asyncDispose]()
  }
}

const asksForStream = (accept = '') => /(^|,) ?text\/event-stream *(;|,|$)/i.test(accept)
