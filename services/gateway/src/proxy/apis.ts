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
import type { GatewayFile } from '../gateway-file.ts'
import { audienceFault, readClaims } from '../mcp/claims.ts'
import type { Changes } from '../mcp/mcp-servers.ts'
import { Shares } from '../mcp/shares.ts'
import type { ApiEntry } from './api-entry.ts'
import { apiManifest } from './api-manifest.ts'
import { ApiUpstream } from './api-upstream.ts'

export interface ApisOptions {
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

/** Where a request goes. */
export interface Place {
  readonly name: string
  /** The API's address as agents know it, without a slash at its end: the audience of credentials for it alone. */
  readonly address: string
  /** The path and query below it, as received. */
  readonly target: string
}

interface Served {
  readonly entry: ApiEntry
  readonly address: string
  readonly upstream: ApiUpstream
  /** What each agent has of its connections. */
  readonly here: Shares
  /** Calls that are under way. None of them rejects. */
  readonly flowing: Set<Promise<unknown>>
}

/** The HTTP APIs of the file that is in use. */
export class Apis implements AsyncDisposable {
  readonly #options: ApisOptions
  #all: ReadonlyMap<string, Served> = new Map()
  /** APIs that are reached in another way now, and whose last answers still flow. */
  readonly #leaving = new Set<Served>()

  constructor(options: ApisOptions) {
    this.#options = options
  }

  /** The address of an API that is called by its name in a path; undefined if there is none. */
  addressOf(name: string): string | undefined {
    const served = this.#all.get(name)
    return served?.entry.host === undefined ? served?.address : undefined
  }

  /** The tool server that an API is in the registry; undefined if it has no operations. */
  toolServerOf(name: string): string | undefined {
    const entry = this.#all.get(name)?.entry
    return entry?.operations === undefined ? undefined : (entry.server ?? name)
  }

  /** Whether an operation of this API opens a WebSocket. */
  opensWebSockets(name: string): boolean {
    return Object.values(this.#all.get(name)?.entry.operations ?? {}).some(({ websocket }) => websocket)
  }

  /** The place of a target at the gateway's own host. The only parse of a path: a router's own decodes and normalises. */
  placeByPath(url: string): Place | undefined {
    const [, name = '', target = ''] = /^\/http\/([a-z0-9][a-z0-9_-]*)(\/.*)$/.exec(url) ?? []
    const address = this.addressOf(name)
    return address === undefined ? undefined : { name, address, target }
  }

  /** The place of a target at a host of its own; undefined if the Host field names no API. */
  placeByHost(host: string | undefined, target: string): Place | undefined {
    const [, called = ''] = /^([A-Za-z0-9.-]+)(?::\d+)?$/.exec(host ?? '') ?? []
    for (const [name, { entry, address }] of this.#all)
      if (entry.host !== undefined && entry.host === called.toLowerCase()) return { name, address, target }
    return undefined
  }

  /**
   * Decides a request, whose target begins below the API's URL, and sends it on. As `Relay.run`; undefined if there is no API of that name.
   */
  run(
    name: string,
    request: RelayRequest,
    caller: Caller,
    gone: AbortSignal,
  ): Promise<Relayed | Refusal | Refused> | undefined {
    const served = this.#all.get(name)
    if (served === undefined) return undefined
    const reason = audienceFault(caller.credential, [served.address, ...this.#options.audiences])
    if (reason !== undefined) return Promise.resolve({ allowed: false, reason })
    const running = this.#run(served, request, caller, gone)
    const over = running.then(
      (relayed) => ('over' in relayed ? relayed.over : undefined),
      () => undefined,
    )
    served.flowing.add(over)
    void over.then(() => served.flowing.delete(over))
    return running
  }

  async #run(
    { entry, upstream, here }: Served,
    request: RelayRequest,
    caller: Caller,
    gone: AbortSignal,
  ): Promise<Relayed | Refusal | Refused> {
    const { point, shares, streamSeconds } = this.#options
    const agent = readClaims(caller.credential)?.owner.agent
    if (agent !== undefined) for (const each of [shares, here]) each.checkStreams(agent)
    const relay = openRelay({
      ...{ point, manifest: apiManifest(entry) },
      upstream: agent === undefined ? upstream : shares.inShare(here.inShare(upstream, agent), agent),
      // The reservation of a call whose outcome is lost is held for as long, so only what asks for a stream has so much time.
      answerSeconds: ({ headers }) =>
        isHandshake({ headers }) || asksForStream(fieldOf(headers, 'accept')) ? streamSeconds : wholeSeconds,
    })
    return relay.run(request, caller, gone)
  }

  /**
   * Opens the APIs of a file. `use` puts them into use in one step; `drop` gives them up. One that did not change keeps its connections and
   * streams. One that changed gets no new request, and ends after the answers that flow. One that is gone ends at once. Throws
   * `config_invalid`; then nothing was changed.
   */
  prepare(entries: GatewayFile['http']): { use: () => Changes; drop: () => void } {
    const current = this.#all
    const next = new Map<string, Served>()
    const opened: Served[] = []
    const drop = () => {
      for (const served of opened) end(served)
    }
    try {
      for (const [name, entry] of Object.entries(entries)) {
        const known = current.get(name)
        const isSame = known !== undefined && JSON.stringify(known.entry) === JSON.stringify(entry)
        const served = isSame ? known : this.#open(name, entry)
        if (!isSame) opened.push(served)
        next.set(name, served)
      }
    } catch (error) {
      drop()
      throw error
    }
    const use = (): Changes => {
      this.#all = next
      const names = (all: ReadonlyMap<string, Served>, isMeant: (name: string) => boolean) =>
        [...all.keys()].filter(isMeant)
      const removed = names(current, (name) => !next.has(name))
      const changed = names(next, (name) => current.has(name) && current.get(name) !== next.get(name))
      const added = names(next, (name) => !current.has(name))
      for (const [name, served] of current)
        if (!next.has(name)) end(served)
        else if (next.get(name) !== served) this.#leave(served)
      return { added, changed, removed }
    }
    return { use, drop }
  }

  #leave(served: Served): void {
    this.#leaving.add(served)
    void Promise.race([Promise.all(served.flowing), new Promise((resolve) => setTimeout(resolve, mostMs).unref())])
      .then(() => end(served))
      .finally(() => this.#leaving.delete(served))
  }

  #open(name: string, entry: ApiEntry): Served {
    const { secrets, streamSeconds, headMs, publicUrl } = this.#options
    const own = new URL(publicUrl)
    if (entry.host === own.hostname)
      throw new ServiceError('config_invalid', `http.${name}.host: this is the host of the gateway itself`)
    const address =
      entry.host === undefined ? `${publicUrl}/http/${name}` : Object.assign(own, { hostname: entry.host }).origin
    const upstream = new ApiUpstream({ name, entry, secrets, headMs, idleMs: streamSeconds * 1000 })
    const here = new Shares(() => ({ streams: mostOfOneAgent, processes: 0, sessions: 0 }))
    return { entry, address, upstream, here, flowing: new Set() }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const all = [...this.#all.values(), ...this.#leaving]
    await Promise.all(all.map(({ upstream }) => upstream[Symbol.asyncDispose]()))
  }
}

/** Not awaited: an API that hangs must hold nothing up. */
function end({ upstream }: Served): void {
  void Promise.resolve(upstream[Symbol.asyncDispose]()).catch(() => undefined)
}

/** Answers of one API that one agent may have at the same time: a quarter of the connections to it. */
const mostOfOneAgent = 64
const wholeSeconds = 300
/** How long the answers of an API that was changed may flow on: as long as any whole answer. */
const mostMs = wholeSeconds * 1000
const asksForStream = (accept = '') => /(^|,) ?text\/event-stream *(;|,|$)/i.test(accept)
