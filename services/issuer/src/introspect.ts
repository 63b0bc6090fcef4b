import { type AccessToken, claimedKeyId, readOwnAccessToken } from '@bailiwick/credentials'
import { chainOf, lineageOf, matchesIntent, namesChain, type Tree } from '@bailiwick/projection'
import { z } from 'zod'
import { authenticateReader, type Reader } from './authenticate-reader.ts'
import { type FormCall, type OAuthEndpoint, parameters } from './client-call.ts'
import type { Issuer } from './context.ts'
import { unavailable } from './oauth-error.ts'

/** `token_type_hint` would only say what there is one kind of. */
export const tokenSchema = z.object({ token: z.string() })

export type Introspection = { active: false } | ({ active: true; token_type: 'DPoP' } & AccessToken)

const inactive: Introspection = { active: false }

/**
 * What a credential is worth this moment (RFC 7662): as a decision point sees it, revocations and the grant's life included. Everything
 * that is not wholly known is inactive. `active` says nothing of whoever presented it: that takes the proof of the key in `cnf` (V11).
 */
export function introspect(endpoint: OAuthEndpoint, call: FormCall): Introspection {
  const reader = authenticateReader(endpoint, call)
  const { token } = parameters(tokenSchema, call.form)
  const { issuer } = endpoint
  if (!issuer.projection.fresh()) throw unavailable('The state is not proved fresh: ask again.')
  const claims = readToken(issuer, token)
  if (claims === undefined || !isFor(reader, claims) || !isAlive(issuer, claims)) return inactive
  return { active: true, token_type: 'DPoP', ...claims }
}

/** The claims of a credential that is ours, signed by a key that still counts, and not over; undefined for all else. */
export function readToken({ keyRing, issuerUrl, clock }: Issuer, token: string): AccessToken | undefined {
  const now = clock.now()
  const kid = claimedKeyId(token)
  const key = kid === undefined ? undefined : keyRing.find(kid, 'credential', now)
  if (!key?.ok) return undefined
  const read = readOwnAccessToken({ token, key: key.value, issuer: issuerUrl, now, leewayMs: 0 })
  return read.ok ? read.value : undefined
}

/** RFC 7662 §4: a point is told of nothing that was not meant for it. */
function isFor({ audiences }: Reader, { aud }: AccessToken): boolean {
  return audiences === undefined || [aud].flat().some((each) => audiences.includes(each))
}

/** The tree in which the credential was intended before it was signed, exactly as it is (V4). */
export function treeOf({ projection }: Issuer, token: AccessToken): Tree | undefined {
  const tree = projection.ledger.grants.trees.get(token.grant.root)
  return tree && matchesIntent(tree, token) ? tree : undefined
}

/** As policy-decision judges life (DESIGN §7.4 step 3). */
function isAlive(issuer: Issuer, token: AccessToken): boolean {
  const tree = treeOf(issuer, token)
  if (tree?.state !== 'active') return false
  const { grant } = tree
  const now = issuer.clock.now()
  const { registry, revocations } = issuer.projection.ledger
  if (!(Date.parse(grant.not_before) <= now && now < Date.parse(grant.not_after))) return false
  const chain = chainOf(tree, token.grant.delegation, issuer.trust.installation)
  if (!chain.ok || chain.holders.at(-1)?.jkt !== token.cnf.jkt || !namesChain(token, chain.holders)) return false
  const { holders } = chain
  if (!holders.every(({ agent, expiresAt }) => now < expiresAt && registry.instance(agent) !== undefined)) return false
  const approvers = grant.assertions.map(({ credential_id }) => registry.passkey(credential_id)?.approver.id ?? '')
  if (revocations.kills(lineageOf(grant, approvers, { credential: token.jti, holders })) !== undefined) return false
  return Object.entries(grant.statement.manifests).every(
    ([id, hash]) => registry.get('tool-server', id)?.manifest === hash,
  )
}
