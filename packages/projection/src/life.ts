import { type AccessToken, thumbprint } from '@bailiwick/credentials'
import { type ChainFault, chainOf, type Holder, type Holders } from './delegation-chain.ts'
import type { Tree } from './grant-state.ts'
import type { Ledger } from './ledger.ts'
import { namesChain } from './recorded-credential.ts'
import type { RegistryState } from './registry-state.ts'
import { lineageOf, type Revocation } from './revocation-state.ts'

/**
 * Who signed: whose passkeys these were when the grant was made. A passkey that was replaced since, or went with its owner, does not let
 * what its owner is revoked for come back (V7). undefined: the registry of that time, as far as it is folded, does not know one of them.
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
/** What the registry was does not change. */
const signers = new WeakMap<object, readonly string[]>()

/** What keeps somebody from acting now, or a credential from being worth anything. */
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
  /** Of who acts, where it is not the agent whose grant it is. */
  delegationId: string | undefined
  /** What is presented, its signature verified; absent where one is about to be minted. */
  token?: AccessToken
  installation: string
  /** ms since the epoch */
  now: number
}

/**
 * Whether who acts under a grant is alive this instant (DESIGN §7.4 step 3): the one judgement of it, by which the issuer mints and
 * introspects and a decision point allows. The caller asks whether the state is fresh, and whether it knows the credential.
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

/** It ended when the grant moved on, also where the grant has come back to the key that it confirms. */
function isHeldAsMinted({ credentials, moves }: Tree, { jti, cnf }: AccessToken, holders: Holders): boolean {
  return holders.at(-1)?.jkt === cnf.jkt && (credentials.get(jti)?.moves ?? moves) === moves
}

/** The same of a chain that is known to hold, its last link redeemed or not. */
export function endOf(
  { registry, revocations }: Ledger,
  { tree, token, now, holders }: Omit<LifeQuestion, 'delegationId' | 'installation'> & { holders: Holders },
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
  // Alone and with nothing to show yet, it has just proved who it is, or the grant is about to move to who did.
  const mustBeThere = token || holders.length > 1 ? holders : []
  if (!mustBeThere.every((holder) => isRegistered(registry, holder))) return { why: 'unregistered' }
  const manifests = Object.entries(grant.statement.manifests)
  const changed = manifests.some(([id, hash]) => registry.get('tool-server', id)?.manifest !== hash)
  return changed ? { why: 'manifest_changed' } : undefined
}

/** A registered key that was replaced is nobody's, whatever was signed with it or bound to it before (V6). */
function isRegistered(registry: RegistryState, { agent, jkt }: Holder): boolean {
  const known = registry.instance(agent)
  return known !== undefined && (known.jwk === undefined || thumbprint(known.jwk) === jkt)
}
