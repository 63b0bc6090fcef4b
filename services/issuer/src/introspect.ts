import { type AccessToken, claimedKeyId, jcs, readOwnAccessToken } from '@bailiwick/credentials'
import { claimsOnRecord, judgeLife, matchesIntent, maxHeadSkewMs, type Tree } from '@bailiwick/projection'
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
  const signed = readToken(issuer, token)
  if (signed === undefined || !isFor(reader, signed.claims)) return inactive
  const { claims } = signed
  const tree = treeOf(issuer, signed)
  const recorded = tree && livingClaims(issuer, tree, claims)
  // Whoever has the credential key alone can sign anything over: only what was recorded is repeated (V3, V4).
  if (recorded === undefined || jcs(recorded) !== jcs(claims)) return inactive
  return { active: true, token_type: 'DPoP', ...recorded }
}

interface SignedToken {
  claims: AccessToken
  /** Of the credential key that signed it. */
  kid: string
}

/** A credential that is ours, signed by a key that still counts, and not over; undefined for all else. */
export function readToken({ keyRing, issuerUrl, clock }: Issuer, token: string): SignedToken | undefined {
  const now = clock.now()
  const key = keyRing.find(claimedKeyId(token) ?? '', 'credential', now)
  if (!key.ok) return undefined
  // The instance that it took over from may have been ahead by so much.
  const read = readOwnAccessToken({ token, key: key.value, issuer: issuerUrl, now, leewayMs: maxHeadSkewMs })
  return read.ok ? { claims: read.value, kid: key.value.kid } : undefined
}

/** RFC 7662 §4: a point is told of nothing that was not meant for it. */
function isFor({ audiences }: Reader, { aud }: AccessToken): boolean {
  return audiences === undefined || [aud].flat().some((each) => audiences.includes(each))
}

/** The tree in which the credential was intended before it was signed, exactly as it is (V4). */
export function treeOf({ projection }: Issuer, { claims, kid }: SignedToken): Tree | undefined {
  const tree = projection.ledger.grants.trees.get(claims.grant.root)
  return tree && matchesIntent(tree, claims, kid) ? tree : undefined
}

/** What a living credential says, as it was recorded; alive by the very judgement by which a decision point allows. */
function livingClaims(issuer: Issuer, tree: Tree, token: AccessToken): AccessToken | undefined {
  const { projection, trust, clock, issuerUrl } = issuer
  const question = { tree, delegationId: token.grant.delegation, token, installation: trust.installation }
  const life = judgeLife(projection.ledger, { ...question, now: clock.now() })
  return life.ok ? claimsOnRecord(tree, token.jti, life.holders, issuerUrl) : undefined
}
