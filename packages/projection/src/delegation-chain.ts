import { type Authority, longestChain, mayDelegateTo, narrows, parseAuthority } from '@bailiwick/authority'
import type { EventData, Grant } from '@bailiwick/contracts'
import { type Delegation, delegationHash, jcs, verifyDelegation } from '@bailiwick/credentials'
import type { Tree } from './grant-life.ts'

/** An agent that may act under a grant: the grant's own agent, or a sub-agent by the delegation that it redeemed. */
export interface Holder {
  /** `grt_…` or `dlg_…`. */
  id: string
  /** The hash that the next link commits to: of the statement, or of the delegation. */
  hash: string
  /** The instance, and the key that its credentials are bound to (`cnf`). */
  agent: string
  jkt: string
  authority: Authority
  /** ms since the epoch */
  expiresAt: number
  /** The APIs that its credentials may be for; undefined: any API of the installation. */
  resources: readonly string[] | undefined
}

/** From the agent that holds the grant to the agent that acts. */
export type Holders = readonly [Holder, ...Holder[]]

/** The rule that a link breaks. `record`: the event contradicts the delegation that it contains. */
export type ChainFault =
  | 'unknown'
  | 'grant'
  | 'record'
  | 'signature'
  | 'moved'
  | 'parent'
  | 'as_of'
  | 'authority'
  | 'wider'
  | 'depth'
  | 'children'
  | 'delegates'
  | 'expiry'
  | 'resources'
  | 'loop'

export type JudgedChain = { ok: true; holders: Holders } | { ok: false; fault: ChainFault }

type Redeemed = EventData<'grants.v1', 'delegation.redeemed'>

/** The parts of a tree that its chains depend on. */
export type Passing = Pick<Tree, 'id' | 'grant' | 'delegations' | 'heldBefore' | 'movedAt'>

/**
 * The whole chain to a redeemed delegation, or to the grant itself. Each link is verified from what its maker signed (V5, V6); the issuer's
 * word about a link never counts for more than the signed delegation. The caller checks what may change meanwhile: times, revocations
 * and the agents' registrations. A grant that moved to another key is another `tree.grant`, and ends every link that the old key signed.
 */
export function chainOf(tree: Passing, delegationId: string | undefined, installation: string): JudgedChain {
  const known = judged.get(tree.grant) ?? new Map<string, Holders>()
  judged.set(tree.grant, known)
  const name = delegationId ?? tree.id
  const before = known.get(name)
  if (before) return { ok: true, holders: before }
  const chain = judgeFromTheTop(tree, delegationId, installation)
  if (chain.ok) known.set(name, chain.holders)
  return chain
}
/** A chain that was found good stays good: delegations are never removed from a tree, nor inserted before existing ones. */
const judged = new WeakMap<Grant, Map<string, Holders>>()

function judgeFromTheTop(tree: Passing, delegationId: string | undefined, installation: string): JudgedChain {
  const root = rootHolder(tree.grant)
  if (!root) return { ok: false, fault: 'grant' }
  const records: Redeemed[] = []
  for (let id = delegationId; id !== undefined; ) {
    const record = tree.delegations.get(id)
    if (!record) return { ok: false, fault: 'unknown' }
    records.unshift(record)
    if (records.length > longestChain) return { ok: false, fault: 'depth' }
    id = record.parent
  }
  let holders: Holders = [root]
  for (const record of records) {
    const siblings = siblingsBefore(tree, record)
    if (siblings === undefined) return { ok: false, fault: 'parent' }
    const link = judgeLink(tree, { holders, siblings, delegation: record.delegation, installation })
    if (!link.ok) return link
    if (!saysTheSame(record, link.delegation, holders)) return { ok: false, fault: 'record' }
    holders = [...holders, link.holder]
  }
  return { ok: true, holders }
}

export type JudgedLink = { ok: true; holder: Holder; delegation: Delegation } | { ok: false; fault: ChainFault }

/**
 * Whether a delegation may be the next link below these holders. `siblings`: how many delegations of the last holder were redeemed earlier,
 * dead ones included. Never throws, for any string `delegation`.
 */
export function judgeLink(
  tree: Passing,
  {
    holders,
    siblings,
    delegation: text,
    installation,
  }: { holders: Holders; siblings: number; delegation: string; installation: string },
): JudgedLink {
  const { grant } = tree
  const refuse = (fault: ChainFault) => ({ ok: false, fault }) as const
  const maker = holders.at(-1) ?? holders[0]
  const verified = verifyDelegation({ delegation: text, delegator: maker, grant: grant.id, installation })
  const hash = delegationHash(text)
  if (!verified.ok || hash === undefined) return refuse('signature')
  const delegation = verified.value
  const { sub, cnf, as_of, parent_hash, exp, authorization_details, resources } = delegation
  if (maker.id === tree.id && hadEnded(tree, delegation)) return refuse('moved')
  if (parent_hash !== maker.hash) return refuse('parent')
  if (as_of !== grant.as_of) return refuse('as_of')
  const parsed = parseAuthority(authorization_details[0])
  if (!parsed.ok) return refuse('authority')
  const { authority } = parsed
  if (!narrows(authority, maker.authority).narrower) return refuse('wider')
  // Each holder limits how many links may follow below it.
  const tooDeep = holders.some((holder, n) => holders.length - n > holder.authority.max_depth)
  if (tooDeep || holders.length > longestChain) return refuse('depth')
  if (siblings >= maker.authority.max_children) return refuse('children')
  if (!mayDelegateTo(maker.authority, sub)) return refuse('delegates')
  if (!(exp * 1000 <= maker.expiresAt)) return refuse('expiry')
  if (maker.resources && !resources?.every((each) => maker.resources?.includes(each))) return refuse('resources')
  if (holders.some(({ agent, jkt }) => agent === sub || jkt === cnf.jkt)) return refuse('loop')
  const id = `dlg_${hash}`
  const holder = { id, hash, agent: sub, jkt: cnf.jkt, authority, expiresAt: exp * 1000, resources }
  return { ok: true, holder, delegation }
}

/**
 * Whether the delegation was signed before the grant came back to the key that signed it. Everything that this key had passed on ended when
 * the grant moved away. `iat` is the maker's own claim: the holder of the key may sign again, but no other party can make `iat` later.
 */
function hadEnded({ grant, heldBefore, movedAt }: Passing, { iat }: Delegation): boolean {
  return heldBefore.some(({ jkt }) => jkt === grant.instance_key) && !(iat * 1000 >= movedAt)
}

/** Delegations of the same maker that were redeemed earlier; undefined when the maker's own delegation was not redeemed. */
function siblingsBefore(tree: Passing, record: Redeemed): number | undefined {
  let siblings = 0
  let hasMaker = record.parent === undefined
  for (const [id, other] of tree.delegations) {
    if (other === record) return hasMaker ? siblings : undefined
    if (id === record.parent) hasMaker = true
    if (other.parent === record.parent) siblings++
  }
  return undefined
}

/** How many delegations of this maker were redeemed. Delegations of the grant's own agent have no parent. */
export function childrenOf(tree: Tree, maker: Holder): number {
  const parent = maker.id === tree.id ? undefined : maker.id
  return [...tree.delegations.values()].filter((each) => each.parent === parent).length
}

/** Whether the event repeats what is signed. It must, for readers who verify no signatures. */
function saysTheSame(record: Redeemed, { sub, cnf, grant, exp, authorization_details }: Delegation, above: Holders) {
  const maker = above.at(-1)
  return (
    record.delegation_id === `dlg_${delegationHash(record.delegation)}` &&
    record.grant_id === grant &&
    (record.parent ?? grant) === maker?.id &&
    record.agent === sub &&
    record.instance_key === cnf.jkt &&
    Date.parse(record.not_after) === exp * 1000 &&
    jcs(record.authority) === jcs(authorization_details[0])
  )
}

function rootHolder({ id, statement_hash, agent, instance_key, authority, not_after }: Grant): Holder | undefined {
  const parsed = parseAuthority(authority)
  if (!parsed.ok) return undefined
  const expiresAt = Date.parse(not_after)
  return {
    id,
    hash: statement_hash,
    agent,
    jkt: instance_key,
    authority: parsed.authority,
    expiresAt,
    resources: undefined,
  }
}
