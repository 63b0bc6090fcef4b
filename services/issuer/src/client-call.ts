import { type DpopProof, verifyDpopProof } from '@bailiwick/credentials'
import { z } from 'zod'
import { type AssertionType, assertionTypes, authenticateClient, type Client } from './authenticate-client.ts'
import type { Issuer } from './context.ts'
import type { dpopNonces } from './dpop-nonces.ts'
import { OAuthError } from './oauth-error.ts'
import type { Polls } from './polls.ts'
import type { ReplayMemory } from './replay-memory.ts'

const proofMaxAgeMs = 60_000
const leewayMs = 5000
const assertionMemoryMs = 300_000 + 2 * leewayMs

/** A form that was posted to an OAuth endpoint, its parameters read strictly (service-kit's `parseForm`). */
export interface FormCall {
  form: Readonly<Record<string, string>>
  /** The DPoP header; undefined: none. Several, which no proof is, come joined by a comma. */
  dpop: string | undefined
  /** Whether an `Authorization` header came too. */
  authorization: boolean
}

/** What all OAuth endpoints of the issuer share: nonces and memories count for each of them. */
export interface OAuthEndpoint {
  issuer: Issuer
  nonces: ReturnType<typeof dpopNonces>
  replay: ReplayMemory
  /** How often clients ask for what nobody has decided yet. */
  polls: Polls
  tokenUrl: string
}

/** Parameters of one form; what is not known is ignored (RFC 6749 §3.2). */
export function parameters<T>(schema: z.ZodType<T>, form: FormCall['form']): T {
  const parsed = schema.safeParse(form)
  if (parsed.success) return parsed.data
  const [wrong] = parsed.error.issues[0]?.path ?? []
  throw new OAuthError('invalid_request', `The parameter ${String(wrong)} is missing or wrong.`)
}

const assertionSchema = z.object({
  client_assertion_type: z.enum(Object.keys(assertionTypes) as [AssertionType]),
  client_assertion: z.string().max(16_384),
  client_id: z.string().max(2048).optional(),
})

/** There are no client secrets, and nothing but the assertion says who a client is (RFC 6749 §2.3, RFC 7521 §4.2). */
export function clientAssertionIn({ form, authorization }: FormCall): z.infer<typeof assertionSchema> {
  const parsed = assertionSchema.safeParse(form)
  const others = authorization || form.client_secret !== undefined
  if (others && parsed.success)
    throw new OAuthError('invalid_request', 'A client authenticates in one way: by the assertion alone.')
  if (parsed.success) return parsed.data
  const [wrong] = parsed.error.issues[0]?.path ?? []
  // RFC 6749 §5.2: no client authentication included is a client that did not authenticate.
  throw new OAuthError(
    'invalid_client',
    `The parameter ${String(wrong)} is missing or wrong: clients authenticate by an assertion.`,
    { status: 401 },
  )
}

/**
 * Authenticates the agent's instance that makes this call, and its key. `demanded`: by a DPoP proof, always. `offered`: a
 * registered key needs none, since the assertion proves it; what is offered must hold all the same.
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
  const client = await authenticateClient(endpoint.issuer, assertion, proof)
  if (need === 'demanded' || call.dpop !== undefined) rememberProof(endpoint, proof(), client)
  rememberAssertion(endpoint, client)
  return client
}

/** The key that signed this very call, with a nonce of ours. */
function verifiedProof({ issuer, nonces }: OAuthEndpoint, htu: string, dpop: string | undefined): DpopProof {
  // No proof contains a comma: node joins two header fields by one (RFC 9449 §4.3 check 1).
  if (dpop === undefined || dpop.includes(','))
    throw new OAuthError('invalid_dpop_proof', 'Exactly one DPoP header is needed.')
  const now = issuer.clock.now()
  const verified = verifyDpopProof({ proof: dpop, htm: 'POST', htu, now, maxAgeMs: proofMaxAgeMs, leewayMs })
  if (!verified.ok)
    throw new OAuthError(
      'invalid_dpop_proof',
      `The DPoP proof does not hold for this request: check its ${verified.detail.replace('dpopProof: ', '')}.`,
    )
  const { nonce } = verified.value
  if (nonce === undefined || !nonces.accepts(nonce))
    throw new OAuthError('use_dpop_nonce', 'The DPoP proof needs the nonce that is in this answer.')
  return verified.value
}

/** Only for clients that authenticated: proofs by keys of nobody must not crowd out those that count. */
function rememberProof({ issuer, replay }: OAuthEndpoint, { jkt, jti }: DpopProof, client: Client): void {
  if (jkt !== client.jkt)
    throw new OAuthError(
      'invalid_dpop_proof',
      'The key of the DPoP proof is not the one that is registered for the client.',
    )
  const now = issuer.clock.now()
  if (!replay.remember(`dpop ${jkt} ${jti}`, now + proofMaxAgeMs + 2 * leewayMs, now))
    throw new OAuthError('invalid_dpop_proof', 'The DPoP proof was used before: make one for each request.')
}

/** Behind the nonce: a client that is asked for one may send the same assertion again. */
export function rememberAssertion(
  { issuer, replay }: OAuthEndpoint,
  { instance, once }: Pick<Client, 'instance' | 'once'>,
): void {
  if (once === undefined) return
  const now = issuer.clock.now()
  if (!replay.remember(`assertion ${instance} ${once}`, now + assertionMemoryMs, now))
    throw new OAuthError('invalid_client', 'The client assertion was used before: make one for each request.', {
      status: 401,
    })
}
