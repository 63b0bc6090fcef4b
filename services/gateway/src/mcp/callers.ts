import type { Action } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { toolAction } from '@bailiwick/mcp'
import type { Found, Refusal } from '@bailiwick/pep'
import type { Caller, Refused, RelayRequest } from '@bailiwick/relay'
import { searchFor } from './authenticate.ts'
import { type Claims, readClaims } from './claims.ts'
import type { Decide, McpServerOptions } from './mcp-options.ts'
import { McpUpstream } from './mcp-upstream.ts'

export interface CallersOptions extends Pick<McpServerOptions, 'url' | 'audiences' | 'searches'> {
  /** The server's name in the registry. */
  server: string
  decide: Decide
  /** Called with each refusal of a caller who gets nothing at all. */
  onNothing: (refusal: Refusal, claims: Claims) => void
}

/** One request of a caller that showed a credential. */
export interface Shown {
  readonly request: RelayRequest
  readonly caller: Caller
  readonly claims: Claims
  readonly signal: AbortSignal
}

/** Stands for the beginning of a conversation, if its denial is recorded. */
const beginning = 'initialize'

/** Judges the callers of one server, before anything of the server is used for them. */
export class Callers {
  readonly #options: CallersOptions

  constructor(options: CallersOptions) {
    this.#options = options
  }

  /** What the credential claims, or why it cannot serve here. The decision point verifies it afterwards. */
  claimsOf({ credential }: Caller): Claims | Refusal {
    if (credential === undefined) return { allowed: false, reason: 'credential_missing' }
    const claims = readClaims(credential)
    if (claims === undefined) return { allowed: false, reason: 'credential_malformed' }
    const { url, audiences } = this.#options
    // The decision point knows this point's addresses, but not which server a path means: a credential for one must not work at another.
    const isMeant = claims.audiences.some((audience) => [url, ...audiences].includes(audience.replace(/\/$/, '')))
    return isMeant ? claims : { allowed: false, reason: 'credential_audience_wrong' }
  }

  /**
   * Why the caller gets nothing at all; undefined for one whose grant lives. `about` is the method that is asked for, or the action that the
   * proof is over: it is valid for no other question.
   */
  async whyNothing(asked: Omit<Shown, 'signal'>, about: string | Action): Promise<Refusal | undefined> {
    const found = await this.#search(asked, about)
    return 'allowed' in found ? found : undefined
  }

  /**
   * Whether a conversation may begin: the grant names a tool of this server, and if the caller signed an action, it could allow that one. The
   * server's empty lists show an agent that nothing of its grant is left. In all other cases nothing is sent to the server, no process is
   * started, and the decision point records the denial.
   */
  async mayBegin(asked: Shown, signed?: Action): Promise<Found | Refusal> {
    const found = await this.#search(asked, signed)
    if ('allowed' in found || found.found.length > 0) return found
    if (signed !== undefined) return this.#denied(asked)
    // A search that looked at nothing did not verify the caller.
    const verified = found.reason === undefined ? await this.#search(asked, beginning) : found
    const isNamed = asked.claims.tools.some((id) => id.startsWith(`${this.#options.server}/`))
    return 'allowed' in verified || isNamed ? verified : this.#denied(asked, beginning)
  }

  /** Without a credential nothing can be allowed, but the decision point says where to ask. */
  async askWithout({ request, caller, signal }: Omit<Shown, 'claims'>): Promise<Refusal | Refused> {
    const { server, decide } = this.#options
    const decided = await decide(new McpUpstream(server, never), request, caller, { manifest: undefined, signal })
    if ('refused' in decided || !decided.allowed) return decided
    throw new ServiceError('invariant_broken', 'a call without a credential was allowed')
  }

  async #search({ request, caller, claims }: Omit<Shown, 'signal'>, about?: string | Action): Promise<Found | Refusal> {
    const { server, searches, onNothing } = this.#options
    const meant =
      typeof about === 'string'
        ? { id: `${server}/${about}` }
        : about === undefined
          ? {}
          : { id: about.resource.id, properties: about.properties }
    const found = await searchFor(searches, caller, { htm: request.method, server, ...meant })
    if ('allowed' in found) onNothing(found, claims)
    return found
  }

  /** Has the denial decided, for what the caller signed or for `method`. If it is allowed by now, nothing is executed for it. */
  async #denied({ request, caller, claims, signal }: Shown, method?: string): Promise<Refusal> {
    const { server, decide, onNothing } = this.#options
    const actionOf = method === undefined ? undefined : () => toolAction(server, method, {})
    const upstream = new McpUpstream(server, never, { actionOf })
    const decided = await decide(upstream, request, caller, { manifest: undefined, signal })
    if ('refused' in decided) throw new ServiceError(decided.refused, decided.detail)
    if (decided.allowed) throw new ServiceError('invariant_broken', 'what nothing executes was executed')
    onNothing(decided, claims)
    return decided
  }
}

/** Nothing is executed for a caller who was refused by anything else than the decision. */
async function never(): Promise<never> {
  throw new ServiceError('call_not_begun', 'nothing could be allowed')
}
