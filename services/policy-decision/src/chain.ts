import { type Action, type CoveringPermission, covers, lookup, namedPointers } from '@bailiwick/authority'
import type { AccessToken } from '@bailiwick/credentials'
import type { DenialReason } from '@bailiwick/errors'
import { type ChainFault, chainOf, type Holder, type Holders, type SpendView, type Tree } from '@bailiwick/projection'
import type { Budgeted, Taken } from './budget.ts'
import type { Pdp } from './context.ts'

/**
 * From the agent whose grant it is to who acts, each link verified by this PDP from what was signed (V5, V6): of a chain, neither the
 * issuer's word nor the credential's counts.
 */
export function holdersOf(
  { trust }: Pick<Pdp, 'trust'>,
  tree: Tree,
  token: AccessToken,
): { ok: true; holders: Holders } | { ok: false; reason: DenialReason } {
  const chain = chainOf(tree, token.grant.delegation, trust.installation)
  if (chain.ok) return chain
  return { ok: false, reason: chainReason(chain.fault) }
}

export const chainReason = (fault: ChainFault): DenialReason =>
  fault === 'grant' ? 'authority_not_understood' : 'delegation_invalid'

/** Where a sub-agent acts, who it is and by which delegation. */
export function actedAs({ act, grant }: AccessToken): { delegation_id?: string; sub_agent?: string } {
  return act === undefined || grant.delegation === undefined
    ? {}
    : { delegation_id: grant.delegation, sub_agent: act.sub }
}

/** Between the agent whose grant it is and who acts: in the credential who acts is outermost (RFC 8693 §4.1). */
export function actedBetween({ act }: AccessToken): { between?: string[] } {
  const between: string[] = []
  for (let above = act?.act; above !== undefined; above = above.act) between.unshift(above.sub)
  return between.length === 0 ? {} : { between }
}

/** What one holder's authority has for an action. */
export interface Level {
  holder: Holder
  covering: readonly CoveringPermission[]
}

export type Levels = readonly [Level, ...Level[]]

/**
 * DESIGN §7.4 step 4: `covers` for the grant and for every link. The first refusal wins, from the grant down. A permission by
 * which no event could say what was compared covers nothing: an auditor judges by what stands there (V3).
 */
export function coverEach(
  holders: Holders,
  action: Action,
): { ok: true; levels: Levels } | { ok: false; reason: DenialReason } {
  const levels: Level[] = []
  for (const holder of holders) {
    const coverage = covers(holder.authority, action)
    if (!coverage.covered) return { ok: false, reason: coverage.reason }
    const covering = coverage.permissions.filter(({ index }) => {
      const permission = holder.authority.permissions[index]
      return (
        permission !== undefined && namedPointers(permission).every((at) => isScalar(lookup(action.properties, at)))
      )
    })
    if (covering.length === 0) return { ok: false, reason: 'argument_out_of_bounds' }
    levels.push({ holder, covering })
  }
  const [grant, ...links] = levels
  return grant ? { ok: true, levels: [grant, ...links] } : { ok: false, reason: 'action_not_granted' }
}

/** What an event has room for. */
export type Scalar = string | number | boolean | null
export const isScalar = (value: unknown): value is Scalar =>
  value === null ||
  typeof value === 'number' ||
  typeof value === 'boolean' ||
  (typeof value === 'string' && value.length <= 2048)

const nothing: Taken = {
  taken: { calls: 0n, egressBytes: 0n, cost: new Map() },
  uses: new Map(),
  open: 0,
  held: { calls: 0n, cost: new Map(), uses: new Map() },
  unmeasured: 0,
}

/** Each level with what was taken of it: of the grant's by the whole tree, of a link's by all at it and below it. */
export function budgeted([grant, ...links]: Levels, view: SpendView): readonly [Budgeted, ...Budgeted[]] {
  const of = ({ holder: { authority }, covering }: Level, spent: Taken) => ({ authority, covering, spent })
  return [of(grant, view), ...links.map((link) => of(link, view.links.get(link.holder.id) ?? nothing))]
}
