import { askingKey, grantOf, statementHash, verifyApproval } from '@bailiwick/approval-statement'
import type { ApprovalStatement } from '@bailiwick/contracts'
import { jcsHash, verifyAccessRequest, verifyingKey } from '@bailiwick/credentials'
import type { DenialReason, ErrorCode } from '@bailiwick/errors'
import { lineageOf, type RequestRecord } from '@bailiwick/projection'
import type { Issuer } from '../context.ts'
import { outsideAsk } from './within-ask.ts'

/** How far an agent's clock may have been ahead when it signed its request. */
const leewayMs = 5000

/**
 * Creates the grant of an approved request, once: its id is derived from the statement, and a second event is void. The
 * issuer verifies everything itself (V3): neither a stolen approval service nor a forged event can grant. A refusal is
 * published on `grants.v1` and never retried.
 */
export async function createGrant(issuer: Issuer, request: RequestRecord): Promise<void> {
  const { approved } = request
  if (approved?.statement.kind !== 'approval') return
  const { grants } = issuer.projection.ledger
  const grant = grantOf(approved.statement, approved.assertions)
  if (grants.trees.has(grant.id) || grants.refused.has(grant.id)) return
  const problem = await problemOf(issuer, request, approved.statement)
  if (problem === undefined) {
    await issuer.producer.publishOne('grants.v1', {
      type: 'grant.created',
      subject: grant.id,
      version: 1,
      data: { grant },
    })
    return
  }
  issuer.logger.warn({ request_id: request.id, reason: problem }, 'grant refused')
  await issuer.producer.publishOne('grants.v1', {
    type: 'credential.refused',
    subject: grant.id,
    data: { grant_id: grant.id, agent: grant.agent, reason: problem },
  })
}

type Problem = ErrorCode | DenialReason

async function problemOf(
  issuer: Issuer,
  request: RequestRecord,
  statement: ApprovalStatement,
): Promise<Problem | undefined> {
  const { grants, registry, revocations } = issuer.projection.ledger
  const { received, approved } = request
  const instance = registry.instance(statement.agent)
  if (!instance) return 'agent_unknown'
  if (!approved || approved.statement_hash !== statementHash(statement)) return 'statement_unknown'
  if (received?.kind !== 'access' || statement.request_id !== request.id) return 'access_request_unknown'
  // Only a request that had no grant may be approved again. Otherwise a stolen approval service could have one ask approved over and over.
  if (grants.byRequest(request.id)) return 'access_request_conflict'
  const asking = askingKey(instance.agent, received)
  if (!asking.ok) return asking.code
  const key = verifyingKey('agent', asking.jwk)
  if (!key) return 'agent_unknown'
  if (key.kid !== statement.instance_key) return 'grant_agent_mismatch'
  // The agent's own signature over the ask, so that approval cannot have made it up.
  const asked = verifyAccessRequest({
    request: received.request,
    key,
    subject: statement.agent,
    installation: issuer.trust.installation,
    now: request.askedAt ?? 0,
    leewayMs,
  })
  if (!asked.ok) return asked.code
  if (jcsHash(asked.value) !== statement.request_hash) return 'access_request_conflict'
  const outside = outsideAsk(issuer, { received, asked: asked.value }, statement)
  if (outside !== undefined) return outside
  if (statement.policy_set !== registry.policySet?.hash) return 'policy_changed'
  for (const [server, manifest] of Object.entries(statement.manifests))
    if (registry.get('tool-server', server)?.manifest !== manifest) return 'manifest_changed'
  if (statement.as_of > revocations.sequence) return 'statement_unknown'
  const verified = await verifyApproval({
    statement,
    assertions: approved.assertions,
    registry: registry.view(),
    trust: issuer.trust,
    at: issuer.clock.now(),
  })
  if (!verified.ok) return verified.code
  const grant = grantOf(statement, approved.assertions)
  const dead = revocations.kills(lineageOf({ grant, heldBefore: [] }, verified.approverIds))
  return dead === undefined ? undefined : 'grant_revoked'
}
