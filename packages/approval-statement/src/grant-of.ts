import { type ApprovalStatement, type Assertion, agentIdOf, type Grant } from '@bailiwick/contracts'
import { jcs, type Refused } from '@bailiwick/credentials'
import { refused } from './refused.ts'
import { grantIdOf, statementHash } from './statement-hash.ts'

/** The grant that an approval creates. It contains only what the humans signed (V3), and their signatures. */
export function grantOf(statement: ApprovalStatement, assertions: readonly Assertion[]): Grant {
  const { request_id, agent, instance_key, authority, mode, not_before, not_after, as_of } = statement
  const statement_hash = statementHash(statement)
  const id = grantIdOf(statement_hash)
  const taken = { request_id, agent, instance_key, authority, mode, not_before, not_after, as_of }
  return { id, ...taken, statement, statement_hash, assertions: [...assertions] }
}

/**
 * Whether a grant matches its own statement (V3); `verifyApproval` decides whether that statement was approved. Only the instance and key
 * may differ, for the same agent, and only if the humans signed `rebind: attested` (DESIGN §7.2). Never throws.
 */
export function verifyGrantContent(grant: Grant): { ok: true } | Refused {
  const { statement, assertions, agent, instance_key } = grant
  const mayMove = statement.rebind === 'attested' && agentIdOf(agent) === agentIdOf(statement.agent)
  const rebound = mayMove ? { agent, instance_key } : {}
  try {
    if (jcs({ ...grantOf(statement, assertions), ...rebound }) === jcs(grant)) return { ok: true }
  } catch {
    // For example a lone surrogate: no person could have signed such a statement.
  }
  return refused('statement_unknown', 'the grant is not what the statement says')
}
