import { type Action, type CoveringPermission, covers, coversMapped, lookup, namedPointers } from '@bailiwick/authority'
import type { AccessToken } from '@bailiwick/credentials'
import type { DenialReason } from '@bailiwick/errors'
import { type ChainFault, chainOf, type Holder, type Holders, type Tree } from '@bailiwick/projection'
import type { EvaluationRequest } from '../http/evaluation-request.ts'
import type { State } from '../ports.ts'
import type { Credential } from './credential.ts'
import type { Recorded } from './recorded.ts'
import { refuse, type Verdict } from './steps.ts'

/** Each link of the chain is signed by the key that the link above it confirms. */
export function chain(
  { tree, token }: Pick<Recorded, 'tree'> & Pick<Credential, 'token'>,
  ports: Pick<State, 'trust'>,
): Verdict<{ holders: Holders }> {
  const found = holdersOf(ports, tree, token)
  return found.ok ? { holders: found.holders } : refuse(found.reason)
}

/**
 * The holders from the grant's agent down to the acting agent. This PDP verifies each link from the signatures themselves (V5, V6): for
 * a chain, it trusts neither the issuer nor the credential.
 */
export function holdersOf(
  { trust }: Pick<State, 'trust'>,
  tree: Tree,
  token: AccessToken,
): { ok: true; holders: Holders } | { ok: false; reason: DenialReason } {
  const chain = chainOf(tree, token.grant.delegation, trust.installation)
  if (chain.ok) return chain
  return { ok: false, reason: chainReason(chain.fault) }
}

export const chainReason = (fault: ChainFault): DenialReason =>
  fault === 'grant' ? 'authority_not_understood' : 'delegation_invalid'

/** One holder and the permissions of its authority that cover the action. */
export interface Level {
  holder: Holder
  covering: readonly CoveringPermission[]
}

export type Levels = readonly [Level, ...Level[]]

/** What a search may leave open. A decision leaves nothing open. */
export interface Searched {
  /** The arguments are not known yet: what some arguments could do is found. */
  anyArguments?: boolean | undefined
}

/** The grant covers the action, and so does every link of the chain. */
export function authority({
  holders,
  request,
  anyArguments = false,
}: Searched & {
  holders: Holders
  request: EvaluationRequest
}): Verdict<{ levels: Levels }> {
  const judged = anyArguments ? withoutBounds(holders) : holders
  const covered = coverEach(judged, { ...request.action, resource: request.resource })
  return covered.ok ? { levels: covered.levels } : refuse(covered.reason)
}

/**
 * The first refusal wins, from the grant down. A permission covers nothing if an event could not hold the values that it compares: an
 * auditor must be able to check them there (V3).
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

/**
 * The holders, with every permission as if its arguments were in bounds and cost nothing. For searches, which do not know the arguments yet:
 * what these holders do not cover, no arguments make them cover.
 */
function withoutBounds(holders: Holders): Holders {
  const [grant, ...links] = holders.map((holder) => ({
    ...holder,
    authority: {
      ...holder.authority,
      permissions: holder.authority.permissions.map(({ where, cost, arguments: closed, ...permission }) => permission),
    },
  }))
  return grant ? [grant, ...links] : holders
}

/** An argument value that an event has room for. */
export type Scalar = string | number | boolean | null
export const isScalar = (value: unknown): value is Scalar =>
  value === null ||
  typeof value === 'number' ||
  typeof value === 'boolean' ||
  (typeof value === 'string' && value.length <= 2048)

/**
 * The grant and every link of the chain also cover what the tool's declared mapping makes of the call. Such an action takes nothing, so a
 * permission that limits uses or money does not cover it.
 */
export function mappedActions({ holders, request }: { holders: Holders; request: EvaluationRequest }): Verdict {
  const mapped = request.observed.mapped ?? []
  const isCovered = mapped.every((action) => holders.every(({ authority }) => coversMapped(authority, action)))
  return isCovered ? undefined : refuse('mapped_not_granted')
}

/** `per_action`: the humans approved one exact action, by its digest. */
export function exactAction({
  tree,
  digest,
  anyArguments = false,
}: Searched & Pick<Recorded, 'tree'> & { digest: string }): Verdict {
  const { mode, statement } = tree.grant
  if (anyArguments) return undefined
  return mode !== 'per_action' || statement.action_digest === digest ? undefined : refuse('action_not_granted')
}
