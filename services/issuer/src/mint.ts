import type { Attestation, Grant } from '@bailiwick/contracts'
import { type AccessToken, jcs, sha256, signAccessToken, verifyAccessToken } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { lineageOf, type Tree } from '@bailiwick/projection'
import { newId } from '@bailiwick/service-kit'
import type { Client } from './authenticate-client.ts'
import type { Issuer } from './context.ts'
import { rebind } from './rebind.ts'
import { inTreeLane } from './tree-lane.ts'

export interface MintOrder {
  tree: Tree
  /** The instance that proved itself, and the key that it proved. */
  client: Client
  audience: readonly string[]
}

export interface Minted {
  token: string
  expiresInSeconds: number
  authorizationDetails: AccessToken['authorization_details']
}

/**
 * Mints one credential: intent durable → sign → lint → `credential.issued` durable → answer (V2, V4). Killed anywhere
 * between, it leaves an intent without a credential, which nobody holds. A grant that may move to this instance moves before. The caller has authenticated the agent and checked
 * that the state is fresh; whether the grant may be minted for is judged here, and once more after the intent is durable,
 * since it may have been revoked meanwhile.
 */
export function mint(issuer: Issuer, order: MintOrder): Promise<Minted> {
  return inTreeLane(issuer, order.tree.id, async () => {
    const { tree, client, audience } = order
    const { instance: agent, jkt } = client
    refuseUnlessAlive(issuer, tree)
    if (!belongsTo(tree, client)) await rebind(issuer, tree, { agent, jkt })
    const { grant } = tree
    const now = issuer.clock.now()
    const iat = Math.floor(now / 1000)
    const exp = Math.min(iat + lifeSeconds(issuer, grant), Math.floor(Date.parse(grant.not_after) / 1000))
    if (exp <= iat) throw new ServiceError('grant_not_active', 'the grant is about to expire')
    const credentialId = newId('crd', now, issuer.random)
    await issuer.producer.publishOne('grants.v1', {
      type: 'credential.intended',
      subject: credentialId,
      key: tree.id,
      version: tree.version + 1,
      data: {
        credential_id: credentialId,
        grant_id: grant.id,
        agent,
        jkt,
        audience: [...audience],
        issued_at: new Date(iat * 1000).toISOString(),
        expires_at: new Date(exp * 1000).toISOString(),
        attestation: attestationOf(client, now),
        kid: issuer.credentialKey.kid,
      },
    })
    refuseUnlessAlive(issuer, tree)
    if (!belongsTo(tree, client)) throw new ServiceError('caller_forbidden', 'the grant moved meanwhile')
    const claims: AccessToken = {
      iss: issuer.issuerUrl,
      aud: audience.length === 1 ? (audience[0] as string) : [...audience],
      sub: agent,
      client_id: agent,
      iat,
      exp,
      jti: credentialId,
      cnf: { jkt },
      authorization_details: [grant.authority],
      grant: {
        id: grant.id,
        root: tree.id,
        request: grant.request_id,
        mode: grant.mode,
        statement_hash: grant.statement_hash,
        as_of: grant.as_of,
      },
    }
    const token = signAccessToken(claims, issuer.credentialKey)
    lint(issuer, token, claims, tree)
    await issuer.producer.publishOne('grants.v1', {
      type: 'credential.issued',
      subject: credentialId,
      key: tree.id,
      version: tree.version + 1,
      data: { credential_id: credentialId, grant_id: grant.id, token_hash: sha256(token) },
    })
    return { token, expiresInSeconds: exp - iat, authorizationDetails: claims.authorization_details }
  })
}

const belongsTo = ({ grant }: Tree, { instance, jkt }: Client) => grant.agent === instance && grant.instance_key === jkt

/** The token stands in no event: its hash does, so that whoever has it can find where it was used (V17). */
function attestationOf({ kind, tokenHash }: Client, now: number): Attestation {
  return {
    kind,
    ...(tokenHash === undefined ? {} : { token_hash: tokenHash }),
    attested_at: new Date(now).toISOString(),
  }
}

/** Where the workload must attest every so often, it comes back for a credential in half of that: none lapses by waiting for its end. */
function lifeSeconds({ credentialSeconds }: Issuer, { statement }: Grant): number {
  const { reattest_seconds: every } = statement.continuous ?? {}
  return every === undefined ? credentialSeconds : Math.min(credentialSeconds, Math.max(1, Math.floor(every / 2)))
}

function refuseUnlessAlive(issuer: Issuer, tree: Tree): void {
  const { grant } = tree
  const now = issuer.clock.now()
  if (!issuer.projection.fresh()) throw new ServiceError('state_stale')
  if (tree.state !== 'active') throw new ServiceError('grant_not_active', tree.state)
  if (Date.parse(grant.not_before) > now || Date.parse(grant.not_after) <= now)
    throw new ServiceError('grant_not_active', 'outside its time')
  const { registry, revocations } = issuer.projection.ledger
  const approvers = grant.assertions.map(({ credential_id }) => registry.passkey(credential_id)?.approver.id ?? '')
  const dead = revocations.kills(lineageOf(grant, approvers))
  if (dead) throw new ServiceError('grant_not_active', 'revoked')
}

/** Reads what was signed with the verifier that others use, and compares it with what was approved: a wrong one never leaves. */
function lint(issuer: Issuer, token: string, claims: AccessToken, { grant }: Tree): void {
  const { kid } = issuer.credentialKey
  const now = issuer.clock.now()
  const key = issuer.keyRing.find(kid, 'credential', now)
  const audience = typeof claims.aud === 'string' ? claims.aud : (claims.aud[0] ?? '')
  const read = key.ok
    ? verifyAccessToken({ token, key: key.value, issuer: issuer.issuerUrl, audience, now, leewayMs: 1000 })
    : key
  const right =
    read.ok &&
    read.value.sub === grant.agent &&
    read.value.cnf.jkt === grant.instance_key &&
    read.value.exp * 1000 <= Date.parse(grant.not_after) &&
    jcs(read.value.authorization_details) === jcs([grant.authority])
  if (!right) throw new ServiceError('invariant_broken', 'a credential that does not say what was approved')
}
