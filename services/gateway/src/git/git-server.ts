import type { EnforcementPoint, Refusal } from '@bailiwick/pep'
import {
  type Caller,
  openRelay,
  type Refused,
  type Relayed,
  type RelayRequest,
  type SecretPort,
} from '@bailiwick/relay'
import { Calls } from '../calls.ts'
import { audienceFault, readClaims } from '../mcp/claims.ts'
import type { Shares } from '../mcp/shares.ts'
import type { Behind } from '../served.ts'
import { HttpSender } from '../servers/http-sender.ts'
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
/** How long a server may take to begin its answer, once it has all of a push: it unpacks it, and runs hooks. */
const headMs = 600_000

/** One git server: it has each request decided, and sent once. */
export class GitServer implements Behind {
  readonly #options: GitServerOptions
  readonly #sender: HttpSender
  readonly #manifest: string
  readonly #calls = new Calls()

  /** Throws `config_invalid`. */
  constructor(options: GitServerOptions) {
    const { entry, secrets } = options
    const { url, inject, private: isPrivate } = entry
    this.#options = options
    this.#manifest = gitManifest(entry)
    this.#sender = new HttpSender({ url, inject: inject.headers, secrets, isPrivate, headMs })
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
  call(
    request: RelayRequest,
    caller: Caller,
    gone: AbortSignal,
    pack?: AsyncIterable<Uint8Array>,
  ): Promise<Relayed | Refusal | Refused> {
    return this.#calls.run(async () => {
      const { entry, point, shares } = this.#options
      const agent = readClaims(caller.credential)?.owner.agent
      if (agent !== undefined) shares.checkStreams(agent)
      const upstream = gitUpstream({ server: this.toolServer, entry, sender: this.#sender, pack })
      const relay = openRelay({
        ...{ point, answerSeconds, manifest: this.#manifest, mostAnswerBytes: entry.most_answer_bytes },
        upstream: agent === undefined ? upstream : shares.inShare(upstream, agent),
      })
      return relay.run(request, caller, gone)
    })
  }

  retire(): Promise<void> {
    return this.#calls.retire()
  }

  [Symbol.asyncDispose](): Promise<void> {
    // A request that was still being read must not reach a server that is no longer in the file.
    void this.#calls.retire()
    return this.#sender[Symbol.asyncDispose]()
  }
}
