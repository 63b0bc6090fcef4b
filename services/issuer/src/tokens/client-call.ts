import { clientAssertionFormSchema } from '@bailiwick/contracts/api'
import { type DpopProof, mayHaveCounted } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import type { RateLimiter } from '@bailiwick/kit'
import type { z } from 'zod'
import type { Issuer } from '../context.ts'
import { authenticateClient, type Client } from './authenticate-client.ts'
import { countProof, ownerOf, type ProofJudge, readProof } from './call-proof.ts'
import { OAuthError, unavailable } from './oauth-error.ts'
import type { Polls } from './polls.ts'

const leewayMs = 5000
/** The longest life of an assertion, plus twice the greatest difference between clocks. */
const assertionMemoryMs = 310_000

/** A form posted to an OAuth endpoint. Its parameters are read strictly (`parseForm` of `host`). */
export interface FormCall {
  form: Readonly<Record<string, string>>
  /** The DPoP header; undefined if there is none. Several are joined by a comma, so that they are not a valid proof. */
  dpop: string | undefined
  /** Whether the call also has an `Authorization` header. */
  authorization: boolean
  /** Call it once the caller's identity is proved. */
  callerVerified: () => void
}

/** State that all OAuth endpoints of the issuer share. */
export interface OAuthEndpoint extends ProofJudge {
  issuer: Issuer
  /** Per agent, over all its instances and keys: how often it asks, looks, and ends something (V18). */
  rate: RateLimiter
  /** How often clients ask for requests that have not been decided yet. */
  polls: Polls
  /** The time, in ms since the epoch, from which this instance counts assertions without a proof; infinite until it is active. */
  countsSince: number
  tokenUrl: string
  introspectionUrl: string
  revocationUrl: string
}

/** Parameters of one form. Unknown ones are ignored (RFC 6749 §3.2). */
export function parameters<T>(schema: z.ZodType<T>, form: FormCall['form']): T {
  const parsed = schema.safeParse(form)
  if (parsed.success) return parsed.data
  const [wrong] = parsed.error.issues[0]?.path ?? []
  throw new OAuthError('invalid_request', `The parameter ${String(wrong)} is missing or wrong.`)
}

/** Client secrets do not exist: only the assertion identifies a client (RFC 6749 §2.3, RFC 7521 §4.2). */
export function clientAssertionIn({ form, authorization }: FormCall): z.infer<typeof clientAssertionFormSchema> {
  const parsed = clientAssertionFormSchema.safeParse(form)
  const others = authorization || form.client_secret !== undefined
  if (others && parsed.success)
    throw new OAuthError('invalid_request', 'A client authenticates in one way: by the assertion alone.')
  if (parsed.success) return parsed.data
  const [wrong] = parsed.error.issues[0]?.path ?? []
  // RFC 6749 §5.2: a client that includes no authentication has not authenticated.
  throw new OAuthError(
    'invalid_client',
    `The parameter ${String(wrong)} is missing or wrong: clients authenticate by an assertion.`,
    { status: 401 },
  )
}

/**
 * Authenticates the calling instance of an agent, and its key. `demanded`: a DPoP proof is always required. `offered`: a registered key
 * needs none, since the assertion proves it, but a proof that is offered must hold.
 */
export async function authenticateCall(
  endpoint: OAuthEndpoint,
  call: FormCall,
  { url, proof: need }: { url: string; proof: 'demanded' | 'offered' },
): Promise<Client> {
  const assertion = clientAssertionIn(call)
  let verified: DpopProof | undefined
  const proof = () => {
    verified ??= verifiedProof(endpoint, url, call.dpop)
    return verified
  }
  const client = await authenticateClient(endpoint.issuer, assertion, proof, url)
  call.callerVerified()
  const rated = endpoint.rate.take(`asks ${client.agent}`)
  if (!rated.ok) throw tooMany(rated.retryAfterSeconds)
  const isProved = need === 'demanded' || call.dpop !== undefined
  if (isProved) rememberProof(endpoint, proof(), client)
  const { once, instance } = client
  // The nonce of a proof says that no issuer before this one heard the call. Alone an assertion must say so by its own times.
  if (!isProved && once !== undefined) refuseEarlier(endpoint, once)
  if (once !== undefined) countAssertion(endpoint, ownerOf(instance), `${instance} ${once.jti}`)
  return client
}

/** Refuses an assertion without a proof that may have counted before this instance started to count (V10). */
export function refuseEarlier({ countsSince }: OAuthEndpoint, made: { exp: number; iat: number | undefined }): void {
  if (mayHaveCounted(made, countsSince, leewayMs))
    throw unavailable('The client assertion may have been used before this issuer began. Sign another one, with iat.')
}

/** The key that signed this very call. */
function verifiedProof(endpoint: OAuthEndpoint, url: string, dpop: string | undefined): DpopProof {
  const read = readProof(endpoint, url, dpop)
  if (!read.ok) throw new OAuthError(read.error, read.why)
  return read.proof
}

function rememberProof(endpoint: OAuthEndpoint, proof: DpopProof, client: Client): void {
  if (proof.jkt !== client.jkt)
    throw new OAuthError(
      'invalid_dpop_proof',
      'The key of the DPoP proof is not the one that is registered for the client.',
    )
  const counted = countProof(endpoint, proof, ownerOf(client.instance))
  if (counted === 'full') throw tooMany()
  if (counted === 'seen')
    throw new OAuthError('invalid_dpop_proof', 'The DPoP proof was used before: make one for each request.')
}

const tooMany = (waitSeconds = 10) =>
  new OAuthError('temporarily_unavailable', 'This client asks too often.', { status: 429, waitSeconds })

/**
 * Limits what an agent ends, and how often it looks whether its grants live. Its asks have a separate limit, so that they cannot keep it from
 * either, and looking cannot keep it from ending things. Throws `rate_limited`.
 */
export function refuseFlood({ rate }: OAuthEndpoint, instance: string, what: 'ends' | 'looks' = 'ends'): void {
  const rated = rate.take(`${what} ${instance.slice(0, instance.lastIndexOf('/'))}`)
  if (!rated.ok)
    throw new ServiceError('rate_limited', 'this agent asks too often', { retryAfterSeconds: rated.retryAfterSeconds })
}

/**
 * Counts the assertion (V10) for as long as it is accepted: until `expiresAt`, in ms since the epoch, or for the longest possible life.
 * Call it after the nonce check: a client that is asked for a nonce may send the same assertion again.
 */
export function countAssertion({ issuer, replay }: ProofJudge, owner: string, jti: string, expiresAt?: number): void {
  const now = issuer.clock.now()
  const counted = replay.remember(owner, `client ${jti}`, expiresAt ?? now + assertionMemoryMs, now)
  if (counted === 'full') throw tooMany()
  if (counted === 'seen')
    throw new OAuthError('invalid_client', 'The client assertion was used before: make one for each request.', {
      status: 401,
    })
}
