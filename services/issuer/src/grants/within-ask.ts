import { itemIdOf, matchRule, requestIdOf, staysWithin } from '@bailiwick/approval-statement'
import { type Authority, narrows, parseAuthority } from '@bailiwick/authority'
import type { ApprovalStatement, EventData } from '@bailiwick/contracts'
import { type AccessRequest, jcsHash } from '@bailiwick/credentials'
import type { DenialReason, ErrorCode } from '@bailiwick/errors'
import type { Issuer } from '../context.ts'

type Received = Extract<EventData<'approvals.v1', 'request.received'>, { kind: 'access' }>
type Problem = ErrorCode | DenialReason

/** How far an agent's clock may have been ahead when it signed its request. */
const leewayMs = 5000

/**
 * Whether a statement stays within what the agent signed (V3). It may be narrower only in authority and time, and only if the rule lets
 * people narrow. Rules may have split the ask. The split itself is not checked again, since the rules may have changed. Instead, all that
 * was granted of this ask, including this part, must together stay within it.
 */
export function outsideAsk(
  { projection }: Pick<Issuer, 'projection'>,
  { received, asked }: { received: Received; asked: AccessRequest },
  statement: ApprovalStatement,
): Problem | undefined {
  const { registry } = projection.ledger
  if (!hasOwnId(received)) return 'access_request_unknown'
  const narrower = parseAuthority(statement.authority)
  const wider = parseAuthority(asked.authority)
  if (!narrower.ok) return narrower.code
  if (!wider.ok || !narrows(narrower.authority, wider.authority).narrower) return 'approval_not_narrower'
  if (!fitsArguments({ received, asked }, statement)) return 'access_request_conflict'
  if (!isSameKind(asked, statement) || !isWithinTime(asked, statement)) return 'approval_not_narrower'
  const before = grantedOf(projection, statement.request_hash)
  // An action that was approved twice could be done twice.
  if (asked.mode === 'per_action' && before.length > 0) return 'approval_not_narrower'
  if (!staysWithin([narrower.authority, ...before], wider.authority)) return 'approval_not_narrower'
  const matched = matchRule(registry.view(), { agent: statement.agent, authority: narrower.authority })
  if (!matched.ok) return matched.code
  const unchanged = isUnchanged({ received, whole: wider.authority, given: narrower.authority }, statement)
  return matched.rule.narrowing || unchanged ? undefined : 'approval_rule_mismatch'
}

/** An id that does not follow from the agent's own signature could name the same ask again and again. */
function hasOwnId({ request_id, request, item }: Received): boolean {
  if (item === undefined) return request_id === requestIdOf(request)
  const { task, index, count } = item
  return request_id === itemIdOf(request, index) && task === requestIdOf(request) && index < count
}

function isSameKind(asked: AccessRequest, { mode, action_digest, rebind }: ApprovalStatement): boolean {
  return (
    mode === asked.mode &&
    action_digest === asked.action_digest &&
    (rebind === 'none' || asked.rebind === 'attested') &&
    asked.grant_id === undefined // it asks for one more action of an existing grant, not for a grant
  )
}

/**
 * The statement must say `arguments: shown` exactly if the agent signed `arguments`, and the event must repeat the agent's hash. The issuer
 * does not read the text itself: approval, the page and evidence compare it with the digest (docs/decisions/0044).
 */
function fitsArguments(
  { received, asked }: { received: Received; asked: AccessRequest },
  statement: ApprovalStatement,
) {
  const isTheAgents = received.arguments?.salted_sha256 === asked.arguments?.salted_sha256
  return isTheAgents && (statement.arguments === 'shown') === (asked.arguments !== undefined)
}

function isWithinTime(asked: AccessRequest, { not_before, not_after }: ApprovalStatement): boolean {
  const [from, until] = [Date.parse(not_before), Date.parse(not_after)]
  const earliest = asked.not_before === undefined ? asked.iat * 1000 - leewayMs : Date.parse(asked.not_before)
  const length = asked.expires_in_seconds === undefined ? Number.POSITIVE_INFINITY : asked.expires_in_seconds * 1000
  const latest = asked.not_after === undefined ? Number.POSITIVE_INFINITY : Date.parse(asked.not_after)
  return earliest <= from && until - from <= length && until <= latest
}

/** Everything granted so far of one signed ask, ended or not: a budget that was spent does not come back. */
function grantedOf({ ledger }: Issuer['projection'], requestHash: string): Authority[] {
  return [...ledger.grants.trees.values()].flatMap(({ grant }) => {
    if (grant.statement.request_hash !== requestHash) return []
    const parsed = parseAuthority(grant.authority)
    return parsed.ok ? [parsed.authority] : []
  })
}

/**
 * Whether the ask was not narrowed. Approval, which split it, is believed on how the budget was shared, since that can only take away.
 * Permissions are the agent's, word for word.
 */
function isUnchanged(
  { received, whole, given }: { received: Received; whole: Authority; given: Authority },
  { not_before, not_after }: ApprovalStatement,
): boolean {
  const asked = new Set(whole.permissions.map(jcsHash))
  return (
    not_before === received.not_before &&
    not_after === received.not_after &&
    jcsHash(given) === jcsHash(received.authority) &&
    (received.item === undefined
      ? jcsHash(given) === jcsHash(whole)
      : given.permissions.every((p) => asked.has(jcsHash(p))))
  )
}
