import { ServiceError } from '@bailiwick/errors'
import type { Clock } from '@bailiwick/kit'
import type { EnforcementPoint, Refusal } from '@bailiwick/pep'
import {
  type Caller,
  openRelay,
  type Refused,
  type Relayed,
  type RelayRequest,
  type SecretPort,
  secretsIn,
} from '@bailiwick/relay'
import { Calls } from '../calls.ts'
import { audienceFault, type Owner, readClaims } from '../mcp/claims.ts'
import type { Shares } from '../mcp/shares.ts'
import type { Behind } from '../served.ts'
import { HttpSender } from '../servers/http-sender.ts'
import { AccountSession } from './account-session.ts'
import { Application } from './application.ts'
import { LoginPace } from './login-pace.ts'
import { sessionActionOf } from './session-action.ts'
import type { SessionEntry } from './session-entry.ts'
import { sessionManifest } from './session-manifest.ts'
import { sessionUpstream } from './session-upstream.ts'
import { Sessions } from './sessions.ts'

export interface SessionAppOptions {
  name: string
  entry: SessionEntry
  point: EnforcementPoint
  secrets: SecretPort
  shares: Shares
  clock: Pick<Clock, 'monotonic'>
  /** Its address as agents know it, without a slash at its end: the audience of credentials for it alone. */
  address: string
  /** Further audiences that mean every application: the gateway's address, and the installation's. */
  audiences: readonly string[]
}

const headMs = 120_000
const answerSeconds = 300

/** One web application: asks for a decision about each request, and sends it in the session of the grant that allowed it. */
export class SessionApp implements Behind {
  readonly #options: SessionAppOptions
  readonly #manifest: string
  readonly #toAction: ReturnType<typeof sessionActionOf>
  readonly #senders = new Set<HttpSender>()
  readonly #sessions: Sessions
  readonly #calls = new Calls()

  /** Throws `config_invalid`. */
  constructor(options: SessionAppOptions) {
    const { entry, secrets, point, shares, clock } = options
    this.#options = options
    this.#manifest = sessionManifest(entry)
    this.#toAction = sessionActionOf(this.toolServer, entry)
    for (const template of Object.values(entry.login.fields))
      for (const reference of secretsIn(template)) secrets.check(reference)
    const pace = new LoginPace(clock)
    const shown = fieldsOf(entry)
    const addressOf = (target: string) => this.#addressOf(target)
    const open = () => {
      // Connections of its own: an application may remember whom one belongs to.
      const { url, private: isPrivate } = entry
      const sender = new HttpSender({ url, inject: {}, secrets, isPrivate, headMs, keepsSession: true })
      this.#senders.add(sender)
      return new AccountSession({
        ...{ pace, shown, addressOf },
        application: new Application(entry, sender, secrets),
        onEnd: async () => {
          this.#senders.delete(sender)
          await sender[Symbol.asyncDispose]()
        },
      })
    }
    this.#sessions = new Sessions({ point, shares, clock, open })
  }

  get address(): string {
    return this.#options.address
  }

  /** The tool server that it is in the registry. */
  get toolServer(): string {
    const { name, entry } = this.#options
    return entry.server ?? name
  }

  /** Decides a request, whose target begins below the application's URL, and sends it on. As `Relay.run`. */
  call(request: RelayRequest, caller: Caller, gone: AbortSignal): Promise<Relayed | Refusal | Refused> {
    return this.#calls.run(async () => {
      const { point, shares, audiences } = this.#options
      const reason = audienceFault(caller.credential, [this.address, ...audiences])
      if (reason !== undefined) return { allowed: false, reason }
      const owner = readClaims(caller.credential)?.owner
      if (owner !== undefined) shares.checkStreams(owner.agent)
      const upstream = this.#upstreamFor(owner)
      const relay = openRelay({
        ...{ point, answerSeconds, manifest: this.#manifest },
        upstream: owner === undefined ? upstream : shares.inShare(upstream, owner.agent),
      })
      return relay.run(request, caller, gone)
    })
  }

  #upstreamFor(owner: Owner | undefined) {
    const { operations } = this.#options.entry
    const sessionOf = (decisionId: string) => {
      if (owner === undefined) throw new ServiceError('invariant_broken', 'a permit without a credential')
      return this.#sessions.of(owner, decisionId)
    }
    return sessionUpstream({ toAction: this.#toAction, operations, sessionOf })
  }

  /** Where an agent finds the page of a redirect; undefined if it is no operation. */
  #addressOf(target: string): string | undefined {
    const action = this.#toAction({ method: 'GET', target, headers: [], body: new Uint8Array() })
    return 'refused' in action ? undefined : `${new URL(this.address).pathname}${target}`
  }

  retire(): Promise<void> {
    return this.#calls.retire()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    void this.#calls.retire()
    await this.#sessions[Symbol.asyncDispose]()
    await Promise.all([...this.#senders].map((sender) => sender[Symbol.asyncDispose]()))
  }
}

/** The fields that operations take. */
function fieldsOf({ operations }: SessionEntry): ReadonlySet<string> {
  const bodies = Object.values(operations).flatMap(({ body }) => (body === undefined ? [] : Object.values(body).flat()))
  return new Set(bodies)
}
