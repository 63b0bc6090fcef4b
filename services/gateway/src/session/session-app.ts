import { ServiceError } from '@bailiwick/errors'
import type { Clock } from '@bailiwick/kit'
import { type Caller, type RelayRequest, secretsIn } from '@bailiwick/relay'
import { type Called, DecidedEntry, type EntryOptions } from '../decided-entry.ts'
import type { Owner } from '../mcp/claims.ts'
import { HttpSender } from '../servers/http-sender.ts'
import { AccountSession } from './account-session.ts'
import { Application } from './application.ts'
import { LoginPace } from './login-pace.ts'
import { sessionActionOf } from './session-action.ts'
import type { SessionEntry } from './session-entry.ts'
import { sessionManifest } from './session-manifest.ts'
import { sessionUpstream } from './session-upstream.ts'
import { Sessions } from './sessions.ts'

export interface SessionAppOptions extends EntryOptions<SessionEntry> {
  clock: Pick<Clock, 'monotonic'>
}

const headMs = 120_000
const answerSeconds = 300

/** One web application: asks for a decision about each request, and sends it in the session of the grant that allowed it. */
export class SessionApp extends DecidedEntry<SessionEntry> {
  readonly #toAction: ReturnType<typeof sessionActionOf>
  readonly #senders = new Set<HttpSender>()
  readonly #sessions: Sessions

  /** Throws `config_invalid`. */
  constructor(options: SessionAppOptions) {
    const { entry, secrets, point, shares, clock } = options
    super(options, sessionManifest(entry))
    this.#toAction = sessionActionOf(this.server, entry)
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

  call(request: RelayRequest, caller: Caller, gone: AbortSignal): Promise<Called> {
    return this.admit(caller, async ({ claims, relayTo }) =>
      relayTo(this.#upstreamFor(claims?.owner), { answerSeconds }).run(request, caller, gone),
    )
  }

  #upstreamFor(owner: Owner | undefined) {
    const sessionOf = (decisionId: string) => {
      if (owner === undefined) throw new ServiceError('invariant_broken', 'a permit without a credential')
      return this.#sessions.of(owner, decisionId)
    }
    return sessionUpstream({ toAction: this.#toAction, entry: this.entry, sessionOf })
  }

  /** Where an agent finds the page of a redirect; undefined if it is no operation. */
  #addressOf(target: string): string | undefined {
    const action = this.#toAction({ method: 'GET', target, headers: [], body: new Uint8Array() })
    return 'refused' in action ? undefined : `${new URL(this.address).pathname}${target}`
  }

  protected async end(): Promise<void> {
    await this.#sessions[Symbol.asyncDispose]()
    await Promise.all([...this.#senders].map((sender) => sender[Symbol.asyncDispose]()))
  }
}

/** The fields that operations take. */
function fieldsOf({ operations }: SessionEntry): ReadonlySet<string> {
  const bodies = Object.values(operations).flatMap(({ body }) => (body === undefined ? [] : Object.values(body).flat()))
  return new Set(bodies)
}
