import { type Authority, longestChain, mayDelegateTo, narrows, parseAuthority } from '@bailiwick/authority'
import type { EventData, Grant } from '@bailiwick/contracts'
import { type Delegation, delegationHash, jcs, verifyDelegation } from '@bailiwick/credentials'
import type { Tree } from './grant-state.ts'

/** Whoever may act under a grant: its own agent, or a sub-agent by the delegation that it redeemed. */
export interface Holder {
  /** `grt_…` or `dlg_…`. */
  id: string
  /** What the next link commits to: the hash of the statement, or of the delegation. */
  hash: string
  /** The instance, and the key that its credentials confirm. */
  agent: string
  jkt: string
  authority: Authority
  /** ms since the epoch */
  expiresAt: number
  /** The APIs that its credentials may be for; undefined: any that the installation has. */
  resources: readonly string[] | undefined
}

/** From the agent whose grant it is to who acts. */
export type Holders = readonly [Holder, ...Holder[]]

/** Which rule a link breaks. `record`: the event says something else than the delegation in it. */
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

/** What of a tree its chains hang on. */
export type Passing = Pick<Tree, 'id' | 'grant' | 'delegations' | 'heldBefore' | 'movedAt'>

/**
 * The whole chain to a delegation that was redeemed, or to the grant itself, each link verified from what its maker signed (V5, V6).
 * Nothing that the issuer says of a link counts for more than what is signed in it. What may change meanwhile (times, revocations, the agents' registrations) is
 * the caller's to ask; a grant that moved to another key is another `tree.grant`, and ends every link that the old one signed.
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
/** What was found good stays so: a tree's delegations are never taken out, nor others put before them. */
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
 * Whether a delegation may be the next link below these holders. `siblings`: how many the last of them had redeemed before it, dead ones
 * included. Total, whatever `delegation` is.
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
  // Each holder said how many may follow one another below it.
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
 * Whether it was signed before the grant came back to the key that signed it: what that key had passed on ended when the grant moved
 * away. `iat` is its maker's word, and whoever has the key may sign anew; nobody else can make it younger.
 */
function hadEnded({ grant, heldBefore, movedAt }: Passing, { iat }: Delegation): boolean {
  return heldBefore.some(({ jkt }) => jkt === grant.instance_key) && !(iat * 1000 >= movedAt)
}

/** Of the same maker, redeemed before it; undefined when its maker itself was not. */
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

/** How many delegations of this maker were redeemed; of the grant's own agent: without a parent. */
export function childrenOf(tree: Tree, maker: Holder): number {
  const parent = maker.id === tree.id ? undefined : maker.id
  return [...tree.delegations.values()].filter((each) => each.parent === parent).length
}

/** The event repeats what is signed, for readers who verify nothing. */
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
