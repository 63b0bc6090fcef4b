import { parseStrictJson } from '@bailiwick/contracts'
import { type DpopProof, verifyDpopProof } from '@bailiwick/credentials'
import { type RequestRecord, type Tree, voidedBy } from '@bailiwick/projection'
import { z } from 'zod'
import { type AssertionType, assertionTypes, authenticateClient, type Client } from './authenticate-client.ts'
import type { Issuer } from './context.ts'
import type { dpopNonces } from './dpop-nonces.ts'
import { type Minted, mint } from './mint.ts'
import { asOAuthError, OAuthError, unavailable } from './oauth-error.ts'
import type { ReplayMemory } from './replay-memory.ts'

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
  client_assertion_type: z.enum(Object.keys(assertionTypes) as [AssertionType]),
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
  const proof = () => verifiedProof(endpoint, request.dpop)
  const client = await authenticateClient(endpoint.issuer, form, proof)
  rememberProof(endpoint, proof(), client)
  rememberAssertion(endpoint, client)
  if (!endpoint.issuer.projection.fresh()) throw unavailable('The state is not proved fresh: ask again.')
  const tree = findGrant(endpoint, form, client)
  const audience = [audienceOf(endpoint, form.resource)]
  try {
    return await mint(endpoint.issuer, { tree, client, audience })
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
      `The parameter ${wrong} is missing or wrong: clients authenticate by an assertion.`,
      { status: 401 },
    )
  throw new OAuthError('invalid_request', `The parameter ${wrong} is missing or wrong.`)
}

/** The key that signed this very call, with a nonce of ours. */
function verifiedProof({ issuer, nonces, tokenUrl }: TokenEndpoint, dpop: string | undefined): DpopProof {
  if (dpop === undefined) throw new OAuthError('invalid_dpop_proof', 'Exactly one DPoP header is needed.')
  const now = issuer.clock.now()
  const verified = verifyDpopProof({ proof: dpop, htm: 'POST', htu: tokenUrl, now, maxAgeMs: proofMaxAgeMs, leewayMs })
  if (!verified.ok)
    throw new OAuthError(
      'invalid_dpop_proof',
      `The DPoP proof does not hold for this request: check its ${verified.detail.replace('dpopProof: ', '')}.`,
    )
  const { nonce } = verified.value
  if (nonce === undefined || !nonces.accepts(nonce))
    throw new OAuthError('use_dpop_nonce', 'The DPoP proof needs the nonce that is in this answer.', { useNonce: true })
  return verified.value
}

/** Only for clients that authenticated: proofs by keys of nobody must not crowd out those that count. */
function rememberProof({ issuer, replay }: TokenEndpoint, { jkt, jti }: DpopProof, client: Client): void {
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
function rememberAssertion({ issuer, replay }: TokenEndpoint, { instance, once }: Client): void {
  if (once === undefined) return
  const now = issuer.clock.now()
  if (!replay.remember(`assertion ${instance} ${once}`, now + assertionMemoryMs, now))
    throw new OAuthError('invalid_client', 'The client assertion was used before: make one for each request.', {
      status: 401,
    })
}

/**
 * Another instance's grant looks like one that does not exist, unless the humans signed that it may move to a newly attested
 * one of the same agent.
 */
function findGrant({ issuer }: TokenEndpoint, form: z.infer<typeof formSchema>, client: Client): Tree {
  const details = parseDetails(form.authorization_details)
  const { grants, requests } = issuer.projection.ledger
  const tree = 'grant_id' in details ? grants.trees.get(details.grant_id) : grants.byRequest(details.request_id)
  if (tree) {
    if (tree.grant.agent !== client.instance && !mayMove(tree.grant.statement.rebind, tree.grant.agent, client))
      throw new OAuthError('invalid_authorization_details', 'This agent has no such grant and no such request.')
    return tree
  }
  const request = 'request_id' in details ? requests.requests.get(details.request_id) : undefined
  const received = request?.received
  const isOwn = received?.kind === 'access' && received.agent === client.instance
  if (!isOwn && !(received?.kind === 'access' && mayMove(received.rebind, received.agent, client)))
    throw new OAuthError('invalid_authorization_details', 'This agent has no such grant and no such request.')
  const waiting = request?.state === 'pending' || (request?.state === 'approved' && !refusedToCreate(issuer, request))
  if (waiting) throw new OAuthError('authorization_pending', 'Nobody has decided the request yet: ask again later.')
  throw new OAuthError('access_denied', `The request is ${request?.state}.`)
}

function mayMove(rebind: 'none' | 'attested', instance: string, client: Client): boolean {
  return rebind === 'attested' && instance.slice(0, instance.lastIndexOf('/')) === client.agent
}

/** What was approved in vain, and is about to be asked again, is still waiting. */
function refusedToCreate({ projection, clock }: Issuer, request: RequestRecord): boolean {
  const { grants } = projection.ledger
  const isRefused = grants.refused.has(`grt_${request.approved?.statement_hash}`)
  return isRefused && voidedBy(request, grants, clock.now()) === undefined
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
