import { parseStrictJson } from '@bailiwick/contracts'
import { claimedIssuer, thumbprint, verifyClientAssertion, verifyDpopProof, verifyingKey } from '@bailiwick/credentials'
import type { Tree } from '@bailiwick/projection'
import { z } from 'zod'
import type { Issuer } from './context.ts'
import type { dpopNonces } from './dpop-nonces.ts'
import { type Minted, mint } from './mint.ts'
import { asOAuthError, OAuthError, unavailable } from './oauth-error.ts'
import type { ReplayMemory } from './replay-memory.ts'

export const clientAssertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
const proofMaxAgeMs = 60_000
const leewayMs = 5000
const assertionMemoryMs = 300_000 + 2 * leewayMs

export interface TokenRequest {
  form: Readonly<Record<string, string>>
  /** The DPoP header; undefined unless there is exactly one. */
  dpop: string | undefined
}

export interface TokenEndpoint {
  issuer: Issuer
  nonces: ReturnType<typeof dpopNonces>
  replay: ReplayMemory
  tokenUrl: string
}

/** What is not known is ignored (RFC 6749 §3.2). */
const formSchema = z.object({
  grant_type: z.string(),
  client_assertion_type: z.literal(clientAssertionType),
  client_assertion: z.string(),
  client_id: z.string().optional(),
  authorization_details: z.string(),
  resource: z.string().max(2048).optional(),
})

const detailsSchema = z.tuple([
  z.union([
    z.strictObject({ type: z.literal('bailiwick_grant'), grant_id: z.string() }),
    z.strictObject({ type: z.literal('bailiwick_grant'), request_id: z.string() }),
  ]),
])

/** The token endpoint, `client_credentials` (OAuth 2.1 §4.2) with RFC 9396 and DPoP: who, with which key, for which grant. */
export async function issueToken(endpoint: TokenEndpoint, request: TokenRequest): Promise<Minted> {
  const form = parseForm(request.form)
  const client = authenticateClient(endpoint, form)
  const jkt = proveKey(endpoint, request.dpop, client)
  rememberAssertion(endpoint, client)
  if (!endpoint.issuer.projection.fresh()) throw unavailable('The state is not proved fresh: ask again.')
  const tree = findGrant(endpoint, form, client.agent)
  const audience = [audienceOf(endpoint, form.resource)]
  try {
    return await mint(endpoint.issuer, { tree, agent: client.agent, jkt, audience })
  } catch (error) {
    throw asOAuthError(error)
  }
}

function parseForm(form: TokenRequest['form']): z.infer<typeof formSchema> {
  const parsed = formSchema.safeParse(form)
  if (form.grant_type !== undefined && form.grant_type !== 'client_credentials')
    throw new OAuthError('unsupported_grant_type', 'The grant type here is client_credentials.')
  if (parsed.success) return parsed.data
  const wrong = String(parsed.error.issues[0]?.path[0])
  // RFC 6749 §5.2: no client authentication included is a client that did not authenticate.
  if (wrong.startsWith('client_assertion'))
    throw new OAuthError(
      'invalid_client',
      `The parameter ${wrong} is missing or wrong: clients authenticate by private_key_jwt.`,
      { status: 401 },
    )
  throw new OAuthError('invalid_request', `The parameter ${wrong} is missing or wrong.`)
}

interface Client {
  agent: string
  jkt: string
  jti: string
}

function authenticateClient({ issuer, tokenUrl }: TokenEndpoint, form: z.infer<typeof formSchema>): Client {
  const refuse = () =>
    new OAuthError('invalid_client', 'The client assertion does not verify for a registered instance of an agent.', {
      status: 401,
    })
  const agent = claimedIssuer(form.client_assertion)
  const instance = agent === undefined ? undefined : issuer.projection.ledger.registry.instance(agent)
  const key = instance?.jwk && verifyingKey('agent', instance.jwk)
  if (agent === undefined || !instance?.jwk || !key) throw refuse()
  const verified = verifyClientAssertion({
    assertion: form.client_assertion,
    key,
    clientId: agent,
    audiences: [issuer.issuerUrl, tokenUrl],
    now: issuer.clock.now(),
    leewayMs,
  })
  if (!verified.ok) throw refuse()
  if (form.client_id !== undefined && form.client_id !== agent) throw refuse()
  return { agent, jkt: thumbprint(instance.jwk), jti: verified.value.jti }
}

function proveKey(
  { issuer, nonces, replay, tokenUrl }: TokenEndpoint,
  dpop: string | undefined,
  client: Client,
): string {
  if (dpop === undefined) throw new OAuthError('invalid_dpop_proof', 'Exactly one DPoP header is needed.')
  const now = issuer.clock.now()
  const verified = verifyDpopProof({ proof: dpop, htm: 'POST', htu: tokenUrl, now, maxAgeMs: proofMaxAgeMs, leewayMs })
  if (!verified.ok)
    throw new OAuthError(
      'invalid_dpop_proof',
      `The DPoP proof does not hold for this request: check its ${verified.detail.replace('dpopProof: ', '')}.`,
    )
  const { jkt, jti, nonce } = verified.value
  if (nonce === undefined || !nonces.accepts(nonce))
    throw new OAuthError('use_dpop_nonce', 'The DPoP proof needs the nonce that is in this answer.', { useNonce: true })
  if (jkt !== client.jkt)
    throw new OAuthError(
      'invalid_dpop_proof',
      'The key of the DPoP proof is not the one that is registered for the client.',
    )
  if (!replay.remember(`dpop ${jkt} ${jti}`, now + proofMaxAgeMs + 2 * leewayMs, now))
    throw new OAuthError('invalid_dpop_proof', 'The DPoP proof was used before: make one for each request.')
  return jkt
}

/** Behind the nonce: a client that is asked for one may send the same assertion again. */
function rememberAssertion({ issuer, replay }: TokenEndpoint, client: Client): void {
  const now = issuer.clock.now()
  if (!replay.remember(`assertion ${client.agent} ${client.jti}`, now + assertionMemoryMs, now))
    throw new OAuthError('invalid_client', 'The client assertion was used before: make one for each request.', {
      status: 401,
    })
}

/** Another agent's grant looks like one that does not exist. */
function findGrant({ issuer }: TokenEndpoint, form: z.infer<typeof formSchema>, agent: string): Tree {
  const details = parseDetails(form.authorization_details)
  const { grants, requests } = issuer.projection.ledger
  const tree = 'grant_id' in details ? grants.trees.get(details.grant_id) : grants.byRequest(details.request_id)
  if (tree) {
    if (tree.grant.agent !== agent)
      throw new OAuthError('invalid_authorization_details', 'This agent has no such grant and no such request.')
    return tree
  }
  const request = 'request_id' in details ? requests.requests.get(details.request_id) : undefined
  const received = request?.received
  if (received?.kind !== 'access' || received.agent !== agent)
    throw new OAuthError('invalid_authorization_details', 'This agent has no such grant and no such request.')
  const waiting = request?.state === 'pending' || (request?.state === 'approved' && !refusedToCreate(issuer, request))
  if (waiting) throw new OAuthError('authorization_pending', 'Nobody has decided the request yet: ask again later.')
  throw new OAuthError('access_denied', `The request is ${request?.state}.`)
}

function refusedToCreate(issuer: Issuer, request: { approved?: { statement_hash: string } }): boolean {
  return issuer.projection.ledger.grants.refused.has(`grt_${request.approved?.statement_hash}`)
}

function parseDetails(text: string): z.infer<typeof detailsSchema>[0] {
  try {
    return detailsSchema.parse(parseStrictJson(text))[0]
  } catch {
    throw new OAuthError(
      'invalid_authorization_details',
      'One object of type bailiwick_grant is needed, with a grant_id or a request_id.',
    )
  }
}

/** RFC 8707. Without `resource` the credential is for every enforcement point of this installation. */
function audienceOf({ issuer }: TokenEndpoint, resource: string | undefined): string {
  if (resource === undefined) return issuer.trust.public_url
  const points = issuer.projection.ledger.registry.all('enforcement-point')
  if (resource === issuer.trust.public_url || points.some((point) => point.base_urls.includes(resource)))
    return resource
  throw new OAuthError('invalid_target', 'No enforcement point has this base URL.')
}
