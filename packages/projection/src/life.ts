import { type AccessToken, thumbprint } from '@bailiwick/credentials'
import { type ChainFault, chainOf, type Holder, type Holders } from './delegation-chain.ts'
import type { Tree } from './grant-life.ts'
import type { Ledger } from './ledger.ts'
import { namesChain } from './recorded-credential.ts'
import type { RegistryState } from './registry-state.ts'
import { lineageOf, type Revocation } from './revocation-state.ts'

/**
 * The approvers who signed: the owners of these passkeys when the grant was made. If a passkey was replaced later, or removed with its
 * owner, the owner's revocation still ends the grant (V7). undefined: the registry of that time, as far as it is folded, does not
 * know one of the passkeys.
 */
export function approversOf(registry: RegistryState, { grant, createdAt }: Tree): readonly string[] | undefined {
  const known = signers.get(grant)
  if (known) return known
  const owners = new Map<string, string>()
  for (const { id, credentials } of registry.view(createdAt).approvers.values())
    for (const { credential_id } of credentials) owners.set(credential_id, id)
  const found = grant.assertions.flatMap(({ credential_id }) => owners.get(credential_id) ?? [])
  if (found.length !== grant.assertions.length) return undefined
  signers.set(grant, found)
  return found
}
/** Cached: the registry of a past time does not change. */
const signers = new WeakMap<object, readonly string[]>()

/** Why a holder may not act now, or a credential is worth nothing. */
export type End =
  | { why: 'chain'; fault: ChainFault }
  | { why: 'revoked'; by: Revocation }
  | {
      why:
        | 'another_holder'
        | 'another_chain'
        | 'signers_unknown'
        | 'not_started'
        | 'expired'
        | 'suspended'
        | 'over'
        | 'delegation_expired'
        | 'credential_expired'
        | 'unregistered'
        | 'manifest_changed'
    }

export type Life = { ok: true; holders: Holders } | { ok: false; end: End }

export interface LifeQuestion {
  tree: Tree
  /** Set when the acting agent is not the agent that holds the grant. */
  delegationId: string | undefined
  /** The credential that is presented, its signature verified. Absent when one is about to be minted. */
  token?: AccessToken
  /** An action is under way: its agents must still be registered. Needed only without a token, which implies it. */
  isActing?: boolean
  installation: string
  /** ms since the epoch */
  now: number
}

/**
 * Whether the party that acts under a grant is alive at this instant (DESIGN §7.4 step 3). The issuer mints and introspects, and a decision
 * point allows, by this one judgement. The caller checks whether the state is fresh and whether it knows the credential.
 */
export function judgeLife(ledger: Ledger, question: LifeQuestion): Life {
  const { tree, delegationId, token, installation } = question
  const chain = chainOf(tree, delegationId, installation)
  if (!chain.ok) return { ok: false, end: { why: 'chain', fault: chain.fault } }
  const { holders } = chain
  if (token && !isHeldAsMinted(tree, token, holders)) return { ok: false, end: { why: 'another_holder' } }
  if (token && !namesChain(token, holders)) return { ok: false, end: { why: 'another_chain' } }
  const end = endOf(ledger, { ...question, holders })
  return end ? { ok: false, end } : { ok: true, holders }
}

/** A credential ended when the grant moved on, even if the grant later came back to the key that the credential is bound to. */
function isHeldAsMinted({ credentials, moves }: Tree, { jti, cnf }: AccessToken, holders: Holders): boolean {
  return holders.at(-1)?.jkt === cnf.jkt && (credentials.get(jti)?.moves ?? moves) === moves
}

/** The same judgement for a chain that is known to hold, whether its last link is redeemed or not. */
export function endOf(
  { registry, revocations }: Ledger,
  { tree, token, isActing, now, holders }: Omit<LifeQuestion, 'delegationId' | 'installation'> & { holders: Holders },
): End | undefined {
  const { grant, state } = tree
  const approvers = approversOf(registry, tree)
  if (approvers === undefined) return { why: 'signers_unknown' }
  const credential = token === undefined ? {} : { credential: token.jti }
  const by = revocations.kills(lineageOf(tree, approvers, { ...credential, holders }))
  if (by) return { why: 'revoked', by }
  if (!(Date.parse(grant.not_before) <= now)) return { why: 'not_started' }
  if (state === 'expired' || !(now < Date.parse(grant.not_after))) return { why: 'expired' }
  if (state === 'suspended') return { why: 'suspended' }
  if (state !== 'active') return { why: 'over' }
  if (!holders.every(({ expiresAt }) => now < expiresAt)) return { why: 'delegation_expired' }
  if (token && !(now < token.exp * 1000)) return { why: 'credential_expired' }
  // Otherwise the holder has just proved who it is, or the grant is about to move to an instance that has.
  const mustBeThere = token || isActing || holders.length > 1 ? holders : []
  if (!mustBeThere.every((holder) => isRegistered(registry, holder))) return { why: 'unregistered' }
  const manifests = Object.entries(grant.statement.manifests)
  const changed = manifests.some(([id, hash]) => registry.get('tool-server', id)?.manifest !== hash)
  return changed ? { why: 'manifest_changed' } : undefined
}

/** A registered key that was replaced is invalid, and so is everything that was signed with it or bound to it earlier (V6). */
function isRegistered(registry: RegistryState, { agent, jkt }: Holder): boolean {
  const known = registry.instance(agent)
  return known !== undefined && (known.jwk === undefined || thumbprint(known.jwk) === jkt)
}
