import { type ErrorCode, errorCode, ServiceError } from '@bailiwick/errors'
import { z } from 'zod'
import type { ClientParameters } from './client-assertion.ts'
import type { Endpoints } from './endpoints.ts'
import { failure, type Http, type ServiceAnswer } from './http.ts'
import { pause, pauses } from './pause.ts'

/**
 * The source of a credential: a grant, by its own id or by that of its request, or a delegation that another agent signed for this one.
 * `resource` narrows the credential to one API (RFC 8707).
 */
export type GrantName = ({ grantId: string } | { requestId: string } | { delegation: string }) & { resource?: string }

/** A credential bound to the agent's key: worthless without the key, and never to be sent as Bearer (V11). */
export interface Credential {
  readonly token: string
  /** ms since the epoch */
  readonly expiresAt: number
  readonly authorizationDetails: readonly unknown[]
  /** When the grant or delegation of this credential ends: ms since the epoch. undefined: the issuer does not say. */
  readonly grantExpiresAt?: number | undefined
}

/** The agent's credentials, in memory only. */
export interface Credentials {
  get(grant: GrantName, wait?: AbortSignal): Promise<Credential>
  /** Drops the refused credential, so that the next call asks for a new one. */
  forget(grant: GrantName, refused: Credential): void
  /** Drops all credentials held for this grant under this name, for any API: the grant is over. */
  drop(grant: GrantName): void
}

interface CredentialOptions {
  http: Http
  endpoints: Endpoints
  now: () => number
  /** The client's authentication. It attests anew for each credential, renewals included; the parameters are made for each attempt. */
  client: () => Promise<() => ClientParameters>
}

/** A credential is replaced when a fifth of its life, or half a minute, is left, because a call takes time too. */
const marginMs = 30_000

const tokenSchema = z.object({
  access_token: z.string().min(1).max(16_384),
  token_type: z.string().regex(/^dpop$/i),
  expires_in: z.int().min(1).max(3600),
  authorization_details: z.array(z.unknown()).max(16).optional(),
  grant_expires_at: z.int().min(0).optional(),
})
const oauthErrorSchema = z.object({ error: z.string().max(100), error_description: z.string().max(1000).optional() })

/** What an OAuth error means to an agent (RFC 6749 §5.2, RFC 8628 §3.5, RFC 9449 §5). */
const oauthErrors: Readonly<Record<string, ErrorCode>> = {
  authorization_pending: 'access_request_pending',
  slow_down: 'access_request_pending',
  access_denied: 'access_request_refused',
  invalid_client: 'caller_unauthenticated',
  invalid_dpop_proof: 'signature_invalid',
  use_dpop_nonce: 'signature_invalid',
  invalid_authorization_details: 'grant_unknown',
  invalid_request: 'request_malformed',
  invalid_target: 'request_malformed',
  temporarily_unavailable: 'service_unready',
  server_error: 'service_unready',
}

export function credentials({ http, endpoints, now, client }: CredentialOptions): Credentials {
  const held = new Map<string, Credential & { renewAt: number }>()
  const asking = new Map<string, Promise<Credential>>()

  /** Callers that need the same credential at the same moment share one request. */
  function obtain(grant: GrantName): Promise<Credential> {
    const name = nameOf(grant)
    const known = held.get(name)
    if (known && now() < known.renewAt) return Promise.resolve(known)
    const running = asking.get(name)
    if (running) return running
    const asked = askForToken(grant)
      .then((credential) => {
        held.set(name, credential)
        return credential
      })
      .catch((error: unknown) => {
        // The issuer may be away for a moment, or slightly stale: a credential that is still alive is still good.
        if (errorCode(error) !== 'access_request_refused' && known && now() < known.expiresAt) return known
        held.delete(name)
        throw error
      })
      .finally(() => asking.delete(name))
    asking.set(name, asked)
    return asked
  }

  /** With a client assertion (RFC 7521 §4.2) and DPoP (RFC 9449 §5). */
  async function askForToken(grant: GrantName): Promise<Credential & { renewAt: number }> {
    const parameters = await client()
    const askedAt = now()
    const answer = await http.ask(
      new URL(endpoints.token),
      'POST',
      (proof) => ({
        headers: { accept: 'application/json', dpop: proof },
        // The body sets the media type itself. Made for each attempt: an assertion counts once.
        body: new URLSearchParams({ ...wanted(grant), ...parameters() }),
      }),
      ({ status, body }) => status === 400 && oauthErrorOf(body)?.error === 'use_dpop_nonce',
    )
    if (answer.status !== 200) throw tokenFailure(answer, 'delegation' in grant)
    const token = tokenSchema.safeParse(answer.body)
    if (!token.success) throw new ServiceError('answer_malformed', 'no DPoP-bound token')
    const { access_token, expires_in, authorization_details = [], grant_expires_at } = token.data
    const lifeMs = expires_in * 1000
    return {
      token: access_token,
      // Measured from before the request was sent: the issuer's clock started later.
      expiresAt: askedAt + lifeMs,
      renewAt: askedAt + lifeMs - Math.min(marginMs, lifeMs / 5),
      authorizationDetails: authorization_details,
      ...(grant_expires_at === undefined ? {} : { grantExpiresAt: grant_expires_at * 1000 }),
    }
  }

  return {
    async get(grant, wait) {
      if (!wait) return obtain(grant)
      for (const ms of pauses()) {
        try {
          return await obtain(grant)
        } catch (error) {
          if (!waitable.has(errorCode(error))) throw error
        }
        await pause(ms, wait)
      }
      throw new ServiceError('invariant_broken', 'the pauses ended')
    },
    forget(grant, refused) {
      const name = nameOf(grant)
      if (held.get(name)?.token === refused.token) held.delete(name)
    },
    drop(grant) {
      const id = idOf(grant)
      for (const name of held.keys()) if (JSON.parse(name)[0] === id) held.delete(name)
    },
  }
}

/** Errors that pass with time. */
const waitable: ReadonlySet<ErrorCode> = new Set([
  'access_request_pending',
  'rate_limited',
  'service_unready',
  'service_unreachable',
])

const idOf = (grant: GrantName): string => {
  if ('delegation' in grant) return grant.delegation
  return 'grantId' in grant ? grant.grantId : grant.requestId
}
const nameOf = (grant: GrantName): string => JSON.stringify([idOf(grant), grant.resource ?? null])

function oauthErrorOf(body: unknown): z.infer<typeof oauthErrorSchema> | undefined {
  return oauthErrorSchema.safeParse(body).data
}

/** `client_credentials` with RFC 9396, or the exchange of a delegation (RFC 8693 §2.1). */
function wanted({ resource, ...grant }: GrantName): Record<string, string> {
  const target = resource === undefined ? {} : { resource }
  if ('delegation' in grant)
    return {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: grant.delegation,
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      ...target,
    }
  const details = 'grantId' in grant ? { grant_id: grant.grantId } : { request_id: grant.requestId }
  const authorization_details = JSON.stringify([{ type: 'bailiwick_grant', ...details }])
  return { grant_type: 'client_credentials', authorization_details, ...target }
}

/**
 * In an exchange, `invalid_request` says that the delegation itself is not valid (RFC 8693 §2.2.2). An agent that asks too often also gets
 * `temporarily_unavailable`, because OAuth has no better code; its status says that the service is not at fault.
 */
function tokenFailure(answer: ServiceAnswer, exchange: boolean): ServiceError {
  const { error, error_description } = oauthErrorOf(answer.body) ?? {}
  if (exchange && error === 'invalid_request') return new ServiceError('delegation_invalid', faultIn(error_description))
  if (answer.status === 429) return new ServiceError('rate_limited')
  const code = error === undefined ? undefined : oauthErrors[error]
  return code === undefined ? failure(answer) : new ServiceError(code)
}

/**
 * Extracts `expiry` from "The subject_token is no delegation that holds here: expiry." The issuer's text goes no further than an error
 * message.
 */
function faultIn(description = ''): string | undefined {
  const [, fault = ''] = /([^:]{1,100}?)\.?$/.exec(description) ?? []
  return fault.trim().replace(/[^\x20-\x7e]/g, '?') || undefined
}
