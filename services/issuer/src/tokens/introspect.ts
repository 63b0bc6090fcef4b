import { tokenFormSchema } from '@bailiwick/contracts/api'
import { type AccessToken, claimedKeyId, jcs, readOwnAccessToken } from '@bailiwick/credentials'
import { claimsOnRecord, judgeLife, matchesIntent, maxHeadSkewMs, type Tree } from '@bailiwick/projection'
import type { Issuer } from '../context.ts'
import { authenticateReader, type Reader } from './authenticate-reader.ts'
import { type FormCall, type OAuthEndpoint, parameters } from './client-call.ts'
import { unavailable } from './oauth-error.ts'

export type Introspection = { active: false } | ({ active: true; token_type: 'DPoP' } & AccessToken)

const inactive: Introspection = { active: false }

/**
 * The current state of a credential (RFC 7662), as a decision point sees it, including revocations and the grant's life. A credential that
 * is not fully known is inactive. `active` says nothing about the presenter: that takes a proof of the key in `cnf` (V11).
 */
export function introspect(endpoint: OAuthEndpoint, call: FormCall): Introspection {
  const reader = authenticateReader(endpoint, call)
  const { token } = parameters(tokenFormSchema, call.form)
  const { issuer } = endpoint
  if (!issuer.projection.fresh()) throw unavailable('The state is not proved fresh: ask again.')
  const signed = readToken(issuer, token)
  if (signed === undefined || !isFor(reader, signed.claims)) return inactive
  const { claims } = signed
  const tree = treeOf(issuer, signed)
  const recorded = tree && livingClaims(issuer, tree, claims)
  // A thief of the credential key alone can sign anything: only what was recorded is repeated (V3, V4).
  if (recorded === undefined || jcs(recorded) !== jcs(claims)) return inactive
  return { active: true, token_type: 'DPoP', ...recorded }
}

interface SignedToken {
  claims: AccessToken
  /** The credential key that signed it. */
  kid: string
}

/** A credential of ours, signed by a key that still counts, and not expired; undefined for anything else. */
export function readToken({ keyRing, issuerUrl, clock }: Issuer, token: string): SignedToken | undefined {
  const now = clock.now()
  const key = keyRing.find(claimedKeyId(token) ?? '', 'credential', now)
  if (!key.ok) return undefined
  // The clock of the instance that this one replaced may have been ahead by this much.
  const read = readOwnAccessToken({ token, key: key.value, issuer: issuerUrl, now, leewayMs: maxHeadSkewMs })
  return read.ok ? { claims: read.value, kid: key.value.kid } : undefined
}

/** RFC 7662 §4: a point learns nothing about credentials that were not meant for it. */
function isFor({ audiences }: Reader, { aud }: AccessToken): boolean {
  return audiences === undefined || [aud].flat().some((each) => audiences.includes(each))
}

/** The tree with the intent of this credential, recorded before it was signed and identical to it (V4). */
export function treeOf({ projection }: Issuer, { claims, kid }: SignedToken): Tree | undefined {
  const tree = projection.ledger.grants.trees.get(claims.grant.root)
  return tree && matchesIntent(tree, claims, kid) ? tree : undefined
}

/** The claims of a valid credential, as recorded. Validity is judged by the same code by which a decision point allows. */
function livingClaims(issuer: Issuer, tree: Tree, token: AccessToken): AccessToken | undefined {
  const { projection, trust, clock, issuerUrl } = issuer
  const question = { tree, delegationId: token.grant.delegation, token, installation: trust.installation }
  const life = judgeLife(projection.ledger, { ...question, now: clock.now() })
  return life.ok ? claimsOnRecord(tree, token.jti, life.holders, issuerUrl) : undefined
}
