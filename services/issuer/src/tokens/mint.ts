import type { Attestation, Grant, PublicJwk } from '@bailiwick/contracts'
import type { accessTokenType } from '@bailiwick/contracts/api'
import { type AccessToken, type Signer, sha256, signAccessTokenBy } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { newId } from '@bailiwick/kit'
import { claimsOnRecord, type Holder, type Holders, type Tree } from '@bailiwick/projection'
import type { Issuer } from '../context.ts'
import { refuseUnlessAlive } from '../grants/alive.ts'
import { rebind } from '../grants/rebind.ts'
import { inTreeLane } from '../grants/tree-lane.ts'
import type { Client } from './authenticate-client.ts'
import { lintCredential } from './lint-credential.ts'

/** Unexpired credentials: of one instance under one grant, and of a whole tree, beyond which only the grant's agent gets more. */
const mostOfInstance = 512
const mostOfSubAgents = 8000

export interface MintOrder {
  tree: Tree
  /** The instance that proved itself, and the key that it proved. */
  client: Client
  audience: readonly string[]
  /** The delegation that the client redeemed; absent for the grant's own agent. */
  delegationId?: string
}

export interface Minted {
  token: string
  expiresInSeconds: number
  /** When the grant, or the delegation that was redeemed, ends: seconds since the epoch. */
  grantEndsAt: number
  authorizationDetails: AccessToken['authorization_details']
  /** For a token exchange (RFC 8693 §2.2.1). */
  issuedTokenType?: typeof accessTokenType
}

/**
 * Mints one credential: intent durable → sign → lint → `credential.issued` durable → answer (V2, V4). If the process is killed in between,
 * an intent remains without a credential, which no one holds. A grant that may move to this instance moves first. The caller has
 * authenticated the agent and checked that the state is fresh. Whether the grant may be minted for is judged here, and again after the
 * intent is durable, since the grant may have been revoked meanwhile.
 */
export function mint(issuer: Issuer, order: MintOrder): Promise<Minted> {
  const task = async () => {
    for (let tries = 0; tries < 3; tries++) {
      const minted = await mintBy(issuer, order, issuer.credentialSigner())
      if (minted !== undefined) return minted
    }
    throw new ServiceError('service_unready', 'the keys change too fast')
  }
  return inTreeLane(issuer, order.tree.id, task, order.client.agent)
}

/** Every reader keeps credentials until they expire. An instance that has this many needs no more (V18). */
function refuseMore({ grant, credentials }: Tree, instance: string, now: number): void {
  if (credentials.size < mostOfInstance) return
  let [own, all] = [0, 0]
  const at = new Date(now).toISOString() // in the format of all event times, so that hundreds need not be parsed for each new credential
  for (const { agent, expires_at } of credentials.values()) {
    if (expires_at <= at) continue
    all++
    if (agent === instance) own++
  }
  if (own >= mostOfInstance || (all >= mostOfSubAgents && instance !== grant.agent))
    throw new ServiceError('rate_limited', 'it has too many credentials that live')
}

/** undefined if another key became the signer between intent and signature: the intent names a key that must not sign any more. */
async function mintBy(issuer: Issuer, order: MintOrder, signer: Signer<'credential'>): Promise<Minted | undefined> {
  const { tree, client, audience, delegationId } = order
  const { instance: agent, jkt } = client
  const before = holderAmong(refuseUnlessAlive(issuer, tree, delegationId))
  if (!belongsTo(before, client)) {
    if (delegationId !== undefined) throw new ServiceError('caller_forbidden', 'the delegation is for another key')
    await rebind(issuer, tree, { agent, jkt })
  }
  const { grant } = tree
  const now = issuer.clock.now()
  refuseMore(tree, agent, now)
  const iat = Math.floor(now / 1000)
  const exp = Math.min(iat + lifeSeconds(issuer, grant), Math.floor(before.expiresAt / 1000))
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
      ...(delegationId === undefined ? {} : { delegation_id: delegationId }),
      agent,
      jkt,
      audience: [...audience],
      issued_at: new Date(iat * 1000).toISOString(),
      expires_at: new Date(exp * 1000).toISOString(),
      attestation: attestationOf(client, now),
      kid: signer.kid,
    },
  })
  const holders = refuseUnlessAlive(issuer, tree, delegationId)
  const holder = holderAmong(holders)
  if (!belongsTo(holder, client)) throw new ServiceError('caller_forbidden', 'the grant moved meanwhile')
  const claims = claimsOnRecord(tree, credentialId, holders, issuer.issuerUrl)
  if (claims === undefined) throw new ServiceError('grant_not_active', 'its intent is not there')
  if (issuer.credentialSigner().kid !== signer.kid) return undefined
  const token = await sign(issuer, claims, signer)
  const reading = { jwk: publicKeyOf(issuer, signer), issuer: issuer.issuerUrl, now: issuer.clock.now() }
  await lintCredential(token, reading, order)
  await issuer.producer.publishOne('grants.v1', {
    type: 'credential.issued',
    subject: credentialId,
    key: tree.id,
    version: tree.version + 1,
    data: { credential_id: credentialId, grant_id: grant.id, token_hash: sha256(token) },
  })
  const grantEndsAt = Math.floor(holder.expiresAt / 1000)
  return { token, expiresInSeconds: exp - iat, grantEndsAt, authorizationDetails: claims.authorization_details }
}

const holderAmong = (holders: Holders): Holder => holders.at(-1) ?? holders[0]

const belongsTo = (holder: Holder, { instance, jkt }: Client) => holder.agent === instance && holder.jkt === jkt

/** Events hold only the token's hash, so that a holder of the token can find where it was used (V17). */
function attestationOf({ kind, tokenHash }: Client, now: number): Attestation {
  return {
    kind,
    ...(tokenHash === undefined ? {} : { token_hash: tokenHash }),
    attested_at: new Date(now).toISOString(),
  }
}

/** A workload that must attest periodically renews its credential in half that time, so that no attestation lapses before the renewal. */
function lifeSeconds({ credentialSeconds }: Issuer, { statement }: Grant): number {
  const { reattest_seconds: every } = statement.continuous ?? {}
  return every === undefined ? credentialSeconds : Math.min(credentialSeconds, Math.max(1, Math.floor(every / 2)))
}

/** Signs with the key that the intent names, if it may still sign: a signature by a key that was revoked meanwhile would be rejected. */
function sign(issuer: Issuer, claims: AccessToken, signer: Signer<'credential'>): Promise<string> {
  const key = issuer.keyRing.find(signer.kid, 'credential', issuer.clock.now())
  if (!key.ok) throw new ServiceError('service_unready', 'the key that was to sign may not any more: ask again')
  return signAccessTokenBy(claims, signer)
}

/** The public key from the registry: a remote signer may have signed with a different key. */
function publicKeyOf({ projection }: Issuer, { kid }: Signer<'credential'>): PublicJwk {
  const key = projection.ledger.registry.get('service-key', kid)
  if (key === undefined) throw new ServiceError('service_unready', 'the key that signs is not in the registry')
  return key.jwk
}
