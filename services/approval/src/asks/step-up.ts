import { ruleOfGrant } from '@bailiwick/approval-statement'
import { jcsHash } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import type { Approval } from '../context.ts'
import type { StepUpAsk } from '../requests.ts'
import { refuseBlind } from './arguments.ts'
import type { Ask, Submission } from './ask.ts'
import type { BoundDenial } from './binding.ts'

/**
 * An ask for one more action under an active grant, which the decision point denies until a human says yes (`step_up_required`). The agent
 * signs grant and digest, and shows the denial whose token names the same. Throws `grant_unknown` for a grant that is not this
 * instance's, `grant_not_active` for one that has ended.
 */
export function stepUpAsk(
  approval: Approval,
  { instanceKey, attestation, asked }: Ask,
  { id, request, receivedBy }: Pick<Submission, 'request' | 'receivedBy'> & { id: string },
  denial: BoundDenial | undefined,
): StepUpAsk {
  const { projection, clock, requestLifeMs } = approval
  const { grant_id: grantId = '', mode, action_digest, callback, purpose } = asked
  if (denial === undefined) throw new ServiceError('denial_binding_invalid', 'a step-up answers a denial')
  if (mode !== 'per_action' || action_digest === undefined)
    throw new ServiceError('request_malformed', 'grant_id: belongs to one action, by its digest')
  const tree = projection.ledger.grants.trees.get(grantId)
  if (tree?.grant.agent !== asked.sub || tree.grant.instance_key !== instanceKey)
    throw new ServiceError('grant_unknown')
  const now = clock.now()
  const until = Date.parse(tree.grant.not_after)
  if (tree.state !== 'active' || !(now < until)) throw new ServiceError('grant_not_active')
  const matched = ruleOfGrant(projection.ledger.registry.view(), tree.grant)
  if (matched.ok) refuseBlind(asked, matched.rule)
  return {
    kind: 'step_up',
    request_id: id,
    request,
    request_hash: jcsHash(asked),
    agent: asked.sub,
    instance_key: instanceKey,
    grant_id: grantId,
    action: denial.action,
    ...(asked.arguments === undefined ? {} : { arguments: asked.arguments }),
    denial: { decision_id: denial.decision_id, reason: denial.reason },
    needs: denial.needs ?? 'action',
    ...(purpose === undefined ? {} : { purpose }),
    received_by: receivedBy,
    attestation,
    ...(callback === undefined ? {} : { callback }),
    expires_at: new Date(Math.min(now + requestLifeMs, until)).toISOString(),
  }
}
