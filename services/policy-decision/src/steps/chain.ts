import { type Action, type CoveringPermission, covers, lookup, namedPointers } from '@bailiwick/authority'
import type { AccessToken } from '@bailiwick/credentials'
import type { DenialReason } from '@bailiwick/errors'
import { type ChainFault, chainOf, type Holder, type Holders, type SpendView, type Tree } from '@bailiwick/projection'
import type { Pdp } from '../context.ts'
import type { Budgeted, Taken } from './budget.ts'

/**
 * The holders from the grant's agent down to the acting agent. This PDP verifies each link from the signatures themselves (V5, V6): for
 * a chain, it trusts neither the issuer nor the credential.
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

/** If a sub-agent acts: its name and its delegation. */
export function actedAs({ act, grant }: AccessToken): { delegation_id?: string; sub_agent?: string } {
  return act === undefined || grant.delegation === undefined
    ? {}
    : { delegation_id: grant.delegation, sub_agent: act.sub }
}

/** The agents between the grant's agent and the acting agent. In the credential the acting agent is outermost (RFC 8693 §4.1). */
export function actedBetween({ act }: AccessToken): { between?: string[] } {
  const between: string[] = []
  for (let above = act?.act; above !== undefined; above = above.act) between.unshift(above.sub)
  return between.length === 0 ? {} : { between }
}

/** One holder and the permissions of its authority that cover the action. */
export interface Level {
  holder: Holder
  covering: readonly CoveringPermission[]
}

export type Levels = readonly [Level, ...Level[]]

/**
 * DESIGN §7.4 step 4: `covers` for the grant and for every link. The first refusal wins, from the grant down. A permission covers
 * nothing if an event could not hold the values that it compares: an auditor must be able to check them there (V3).
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

/** An argument value that an event has room for. */
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

/** Each level with what was taken from it: from the grant by the whole tree, from a link by all agents at and below it. */
export function budgeted([grant, ...links]: Levels, view: SpendView): readonly [Budgeted, ...Budgeted[]] {
  const of = ({ holder: { authority }, covering }: Level, spent: Taken) => ({ authority, covering, spent })
  return [of(grant, view), ...links.map((link) => of(link, view.links.get(link.holder.id) ?? nothing))]
}
