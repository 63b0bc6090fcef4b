import { timingSafeEqual } from 'node:crypto'
import { type Action, sha256 } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { type EnforcementPoint, type Refusal, refusal } from '@bailiwick/pep'
import {
  checkHead,
  fillTemplate,
  type RawHeaders,
  type Refused,
  type RelayRequest,
  requestOf,
  type SecretPort,
  secretsIn,
} from '@bailiwick/relay'
import { audienceFault, readClaims } from '../mcp/claims.ts'
import { apiManifest } from '../proxy/api-manifest.ts'
import { type ToAction, toActionOf } from '../proxy/operations.ts'
import type { Behind } from '../served.ts'
import type { AccessLogs, Expected } from './access-logs.ts'
import { type AskedAbout, type Asking, askedByEnvoy, askedByForwardAuth, onlyField, proxyField } from './asked-about.ts'
import type { AuthorizeEntry } from './authorize-entry.ts'

export interface AuthorizerOptions {
  /** The entry's name. */
  name: string
  entry: AuthorizeEntry
  point: Pick<EnforcementPoint, 'guard'>
  secrets: SecretPort
  /** Further audiences that mean every API: the gateway's address, and the installation's. */
  audiences: readonly string[]
  logs: Pick<AccessLogs, 'expect'>
}

/** The proxy may send the request on. */
export interface Authorized {
  readonly allowed: true
  readonly decisionId: string
  /** The names of the header fields that the upstream may get, in lower case. */
  readonly fields: ReadonlySet<string>
  /** What Envoy's log must contain for this request, if the gateway waits for it. */
  readonly logMark: string | undefined
}

/** Reasons of a decision point that may be due to a body which the proxy does not show. */
const ofArguments: ReadonlySet<string> = new Set<Refusal['reason']>(['argument_out_of_bounds', 'cost_invalid'])
const leastSecret = 16
const usualFields = ['accept', 'accept-language', 'content-type']

/**
 * Decides for a proxy, which then sends the request on itself. The action is that of an API behind the gateway, read by the same parse. The
 * gateway does not see what happens: the outcome is what Envoy's log says, if the entry waits for it, and else `not_observed`. Nothing of
 * the reservation goes back.
 */
export class Authorizer implements Behind {
  readonly entry: AuthorizeEntry
  readonly #options: AuthorizerOptions
  readonly #toAction: ToAction
  readonly #host: string
  readonly #base: string

  /** Throws `config_invalid` for a secret that can never be read. */
  constructor(options: AuthorizerOptions) {
    const { name, entry, secrets } = options
    for (const reference of secretsIn(entry.secret)) secrets.check(reference)
    this.entry = entry
    this.#options = options
    this.#toAction = toActionOf(name, entry)
    const { hostname, pathname } = new URL(entry.address)
    this.#host = hostname
    this.#base = pathname === '/' ? '' : pathname
  }

  /** Whether the proxy itself asks. An agent that finds this address must learn nothing: it could try out what is allowed. */
  async isProxy({ rawHeaders }: Pick<Asking, 'rawHeaders'>): Promise<boolean> {
    const given = onlyField(rawHeaders, proxyField)
    if (typeof given !== 'string') return false
    const { text } = await fillTemplate(this.entry.secret, this.#options.secrets)
    if (text.length < leastSecret)
      throw new ServiceError('secret_unavailable', `the secret of a proxy has ${leastSecret} characters at least`)
    return timingSafeEqual(Buffer.from(sha256(given)), Buffer.from(sha256(text)))
  }

  /** Decides about the request that the proxy asks about. Rejects with a ServiceError for arguments without a canonical form. */
  async decide(asking: Asking): Promise<Authorized | Refusal | Refused> {
    const asked = this.entry.proxy === 'envoy' ? askedByEnvoy(asking, this.entry.body) : askedByForwardAuth(asking)
    return 'refused' in asked ? asked : this.#decide(asked)
  }

  async #decide({ head: given, body, isBodyUnseen, host }: AskedAbout): Promise<Authorized | Refusal | Refused> {
    const { name, point, audiences, logs } = this.#options
    const { address, log_seconds: logSeconds } = this.entry
    // Another name may lead to another API at the proxy, while the decision would be about this one.
    if (host !== undefined && hostnameIn(host) !== this.#host)
      return { refused: 'host_unknown', detail: 'the client called another host' }
    const head = checkHead(given, address)
    if ('refused' in head) return head
    if ('ok' in head) return refusal(head.reason)
    if (!head.target.startsWith(`${this.#base}/`)) return { refused: 'route_unknown', detail: 'not below the address' }
    const request = { ...requestOf({ ...head, target: head.target.slice(this.#base.length) }, body), isBodyUnseen }
    const action = this.#toAction(request)
    if ('refused' in action) return action
    const { credential, proof, callId, htu } = head.caller
    const reason = audienceFault(credential, [address, ...audiences])
    if (reason !== undefined) return refusal(reason)
    const agent = readClaims(credential)?.owner.agent ?? ''
    const guarded = await point.guard(
      {
        ...{ credential, proof, callId, htu, htm: head.method, bytes: body },
        action: (bytes) => this.#actionOf({ ...request, body: bytes }),
        isUnseen: true,
        answerSeconds: logSeconds,
        manifest: apiManifest(this.entry),
      },
      async (): Promise<Expected | undefined> =>
        logSeconds === undefined ? undefined : logs.expect(name, agent, logSeconds * 1000),
      (expected) => expected?.outcome ?? {},
    )
    if (guarded.allowed) {
      const { decisionId, result } = guarded
      return { allowed: true, decisionId, fields: this.#fieldsOf(head.headers), logMark: result?.mark }
    }
    return 'body_unseen' in action.properties && ofArguments.has(guarded.reason)
      ? { refused: 'body_not_shown', detail: guarded.reason }
      : guarded
  }

  /** The second reading, after the permit. */
  #actionOf(request: RelayRequest): Action {
    const action = this.#toAction(request)
    if ('refused' in action) throw new ServiceError(action.refused, action.detail)
    return action
  }

  /** Of the fields that the gate let through, those that are part of the action, or that no API acts on. */
  #fieldsOf(headers: RawHeaders): ReadonlySet<string> {
    const names = headers.filter((_, at) => at % 2 === 0).map((name) => name.toLowerCase())
    return new Set(names.filter((name) => usualFields.includes(name) || this.entry.forward.includes(name)))
  }

  async retire(): Promise<void> {
    // What is being decided ends as it began.
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // It holds nothing open.
  }
}

/** The name in a Host field, without the port: the proxy may listen on another one than agents call. */
const hostnameIn = (host: string): string | undefined =>
  /^([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?$/.exec(host)?.[1]?.toLowerCase()
