import { ServiceError } from '@bailiwick/errors'
import { type Caller, fieldOf, isHandshake, type RelayRequest } from '@bailiwick/relay'
import { type Called, DecidedEntry, type EntryOptions } from '../decided-entry.ts'
import { Shares } from '../mcp/shares.ts'
import type { ApiEntry } from './api-entry.ts'
import { apiManifest } from './api-manifest.ts'
import { ApiUpstream } from './api-upstream.ts'

export interface ApiOptions extends Omit<EntryOptions<ApiEntry>, 'address'> {
  /** The gateway's own address, without a path. */
  publicUrl: string
  /** How long a stream may last, in seconds. Any other answer may take five minutes. */
  streamSeconds: number
  /** How long an API may take to begin an answer, in ms. */
  headMs: number
}

/** Answers of one API that one agent may have at the same time: a quarter of the connections to it. */
const mostOfOneAgent = 64
const wholeSeconds = 300

/** One HTTP API: it has each request decided, and sent once. */
export class Api extends DecidedEntry<ApiEntry> {
  readonly #upstream: ApiUpstream
  readonly #streamSeconds: number

  /** Throws `config_invalid`. */
  constructor({ publicUrl, streamSeconds, headMs, ...options }: ApiOptions) {
    const { name, entry, secrets } = options
    // Each agent's share of the connections to this API.
    const here = new Shares(() => ({ streams: mostOfOneAgent, processes: 0, sessions: 0 }))
    super({ ...options, address: addressOf(name, entry, publicUrl) }, apiManifest(entry), [here])
    this.#streamSeconds = streamSeconds
    this.#upstream = new ApiUpstream({ name, entry, secrets, headMs, idleMs: streamSeconds * 1000 })
  }

  override get toolServer(): string | undefined {
    return this.entry.operations === undefined ? undefined : this.server
  }

  /** Whether one of its operations opens a WebSocket. */
  get opensWebSockets(): boolean {
    return Object.values(this.entry.operations ?? {}).some(({ websocket }) => websocket)
  }

  call(request: RelayRequest, caller: Caller, gone: AbortSignal): Promise<Called> {
    // The reservation of a call whose outcome is lost is held for as long, so only what asks for a stream has so much time.
    const answerSeconds = ({ headers }: RelayRequest) =>
      isHandshake({ headers }) || asksForStream(fieldOf(headers, 'accept')) ? this.#streamSeconds : wholeSeconds
    return this.admit(caller, async ({ relayTo }) =>
      relayTo(this.#upstream, { answerSeconds }).run(request, caller, gone),
    )
  }

  protected async end(): Promise<void> {
    await this.#upstream[Symbol.asyncDispose]()
  }
}

function addressOf(name: string, { host }: ApiEntry, publicUrl: string): string {
  if (host === undefined) return `${publicUrl}/http/${name}`
  const own = new URL(publicUrl)
  if (host === own.hostname)
    throw new ServiceError('config_invalid', `http.${name}.host: this is the host of the gateway itself`)
  return Object.assign(own, { hostname: host }).origin
}

const asksForStream = (accept = '') => /(^|,) ?text\/event-stream *(;|,|$)/i.test(accept)
