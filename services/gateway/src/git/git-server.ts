import { ServiceError } from '@bailiwick/errors'
import type { EnforcementPoint, Refusal } from '@bailiwick/pep'
import {
  type Caller,
  openRelay,
  type Refused,
  type Relayed,
  type RelayRequest,
  type SecretPort,
} from '@bailiwick/relay'
import { audienceFault, readClaims } from '../mcp/claims.ts'
import type { Shares } from '../mcp/shares.ts'
import { HttpSender } from '../servers/http-sender.ts'
import { secretsIn } from '../template.ts'
import { type GitEntry, gitManifest } from './git-entry.ts'
import { gitUpstream } from './git-upstream.ts'

export interface GitServerOptions {
  name: string
  entry: GitEntry
  point: EnforcementPoint
  secrets: SecretPort
  shares: Pick<Shares, 'checkStreams' | 'inShare'>
  /** Its address as agents know it, without a slash at its end: the audience of credentials for it alone. */
  address: string
  /** Further audiences that mean every server: the gateway's address, and the installation's. */
  audiences: readonly string[]
}

/** How long a clone or a push may take. If its outcome is lost, its reservation is held as long. */
const answerSeconds = 3600
/** How long a server may take to begin its answer to a push: it unpacks it, and runs hooks. */
const headMs = 600_000

/** One git server: it has each request decided, and sent once. */
export class GitServer implements AsyncDisposable {
  readonly #options: GitServerOptions
  readonly #sender: HttpSender
  readonly #manifest: string
  /** Calls whose answers still flow. */
  #calls = 0
  #isLeaving = false

  constructor(options: GitServerOptions) {
    const { entry, secrets } = options
    const inject = entry.inject.headers
    for (const reference of Object.values(inject).flatMap(secretsIn)) secrets.check(reference)
    this.#options = options
    this.#manifest = gitManifest(entry)
    this.#sender = new HttpSender({ url: entry.url, inject, secrets, isPrivate: entry.private, headMs })
  }

  get entry(): GitEntry {
    return this.#options.entry
  }

  get address(): string {
    return this.#options.address
  }

  /** The tool server that it is in the registry. */
  get toolServer(): string {
    const { name, entry } = this.#options
    return entry.server ?? name
  }

  /** Why this credential cannot serve here, before anything of its request's body is read. */
  audienceFault(credential: string | undefined): Refusal | undefined {
    const { address, audiences } = this.#options
    const reason = audienceFault(credential, [address, ...audiences])
    return reason === undefined ? undefined : { allowed: false, reason }
  }

  /** `pack` follows the request's body, if it is a push. Rejects with a ServiceError for what happened after the permit. */
  async call(
    request: RelayRequest,
    caller: Caller,
    gone: AbortSignal,
    pack?: AsyncIterable<Uint8Array>,
  ): Promise<Relayed | Refusal | Refused> {
    if (this.#isLeaving) throw new ServiceError('route_unknown')
    const { entry, point, shares } = this.#options
    const agent = readClaims(caller.credential)?.owner.agent
    if (agent !== undefined) shares.checkStreams(agent)
    const upstream = gitUpstream({ server: this.toolServer, entry, sender: this.#sender, pack })
    const relay = openRelay({
      ...{ point, answerSeconds, manifest: this.#manifest, mostAnswerBytes: entry.most_answer_bytes },
      upstream: agent === undefined ? upstream : shares.inShare(upstream, agent),
    })
    this.#calls++
    let over: Promise<unknown> = Promise.resolve()
    try {
      const relayed = await relay.run(request, caller, gone)
      if ('over' in relayed) over = relayed.over
      return relayed
    } finally {
      void over.then(() => this.#ended())
    }
  }

  /** Ends it after the answers that flow. It gets no new call. */
  retire(): void {
    this.#isLeaving = true
    if (this.#calls === 0) void this[Symbol.asyncDispose]()
  }

  #ended(): void {
    this.#calls--
    if (this.#isLeaving && this.#calls === 0) void this[Symbol.asyncDispose]()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#sender[Symbol.asyncDispose]()
  }
}
