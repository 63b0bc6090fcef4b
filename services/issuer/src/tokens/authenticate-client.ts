import { askingKey, isEmergency } from '@bailiwick/approval-statement'
import { type Agent, spiffeIdSchema } from '@bailiwick/contracts'
import type { AssertionType } from '@bailiwick/contracts/api'
import {
  claimedIssuer,
  claimedSubject,
  type DpopProof,
  longestAssertionSeconds,
  type PublicJwk,
  thumbprint,
} from '@bailiwick/credentials'
import { type Attested, audiencesOf, registeredKey } from '@bailiwick/credentials/attestation'
import { errorKinds } from '@bailiwick/errors'
import type { Issuer } from '../context.ts'
import { OAuthError, unavailable } from './oauth-error.ts'

/** How a client can identify itself (RFC 7521 §4.2), and the attestors of agents that accept each way. */
export const assertionTypes = {
  /** `private_key_jwt` (RFC 7523 §2.2), or a workload token of another issuer (§3). */
  'urn:ietf:params:oauth:client-assertion-type:jwt-bearer': ['registered_key', 'oidc', 'emergency'],
  /** A JWT-SVID (draft-ietf-oauth-spiffe-client-auth): the client's id is the SPIFFE ID in it. */
  'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe': ['jwt_svid'],
  /** Our own, for development: a join token. */
  'urn:bailiwick:params:oauth:client-assertion-type:join-token': ['join_token'],
} as const satisfies Record<AssertionType, readonly Attested['kind'][]>

export interface ClientAssertion {
  client_assertion_type: AssertionType
  client_assertion: string
  client_id?: string | undefined
}

/** The client's identity, by its agent's attestor. */
export interface Client extends Attested {
  /** Thumbprint of the instance's key. */
  jkt: string
}

const refuse = () =>
  new OAuthError('invalid_client', 'The client assertion does not verify for an instance of a registered agent.', {
    status: 401,
  })

/** Said only of an assertion that verifies, so that only its maker learns it. */
export const livesTooLong = (longest: string) =>
  new OAuthError(
    'invalid_client',
    `The client assertion lives too long: its exp may be at most ${longest} from now. Sign another one.`,
    { status: 401 },
  )
export const longestAssertion = `${longestAssertionSeconds} seconds`

/**
 * Authenticates an instance of an agent, only by the attestor that its registration names. A registered key proves itself. With any other
 * attestor the assertion is a text that travels, and `proof` is the key that it counts for. In that case a fault of the proof is thrown
 * before the assertion is looked at. `endpointUrl` is the endpoint that was called.
 */
export async function authenticateClient(
  { projection, attestors, issuerUrl, clock, logger }: Issuer,
  { client_assertion_type: type, client_assertion: assertion, client_id }: ClientAssertion,
  proof: () => DpopProof,
  endpointUrl: string,
): Promise<Client> {
  const claimed = client_id ?? claimedIdIn(type, assertion)
  const agent = claimed === undefined ? undefined : projection.ledger.registry.instance(claimed)?.agent
  if (claimed === undefined || agent === undefined) throw refuse()
  const { kind } = agent.attestor
  if (!assertionTypes[type].some((each) => each === kind)) throw refuse()
  const openedFor = keyOfEmergency(projection, agent, claimed)
  const registered = registeredKey(agent, claimed) ?? openedFor
  const jkt = registered === undefined ? proof().jkt : thumbprint(registered)
  const audiences = audiencesOf(agent, issuerUrl, 'token', endpointUrl)
  const attested = await attestors.attest(assertion, { agent, audiences, now: clock.now(), key: jkt, openedFor })
  if (!attested.ok) {
    logger.info({ error_code: attested.code, agent: agent.id, kind }, 'a workload was not attested')
    if (errorKinds[attested.code].status === 503) throw unavailable('The authority of the workload does not answer.')
    if (attested.code === 'token_life_too_long')
      throw livesTooLong(kind === 'registered_key' || kind === 'emergency' ? longestAssertion : '24 hours')
    throw refuse()
  }
  if (attested.instance !== claimed) throw refuse()
  return { ...attested, jkt }
}

/**
 * The key for which a person at the console opened an emergency; undefined for any other. The issuer makes a grant only if two people signed
 * for it, so this key can do no more than ask whether they have.
 */
function keyOfEmergency({ ledger }: Issuer['projection'], agent: Agent, instance: string): PublicJwk | undefined {
  if (!isEmergency(agent)) return undefined
  for (const { received } of ledger.requests.requests.values()) {
    if (received?.kind !== 'access' || received.agent !== instance) continue
    const key = askingKey(agent, received)
    if (key.ok) return key.jwk
  }
  return undefined
}

/** Use it only to find the agent whose attestor must judge. */
function claimedIdIn(type: AssertionType, assertion: string): string | undefined {
  const claimed = type.endsWith('jwt-spiffe') ? claimedSubject(assertion) : claimedIssuer(assertion)
  return spiffeIdSchema.safeParse(claimed).data
}
