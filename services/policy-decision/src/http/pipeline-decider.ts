import {
  type AuthZenCaller,
  type AuthZenDecider,
  type AuthZenDecision,
  type AuthZenEvaluation,
  type AuthZenSession,
  type JsonObject,
  spellObligations,
  stepUpObligation,
} from '@bailiwick/authzen'
import type { Obligation } from '@bailiwick/contracts'
import { denialReasons, retrySecondsOf } from '@bailiwick/errors'
import { actingAgent } from '@bailiwick/projection'
import type { Answer, Denied } from '../answer.ts'
import { Turns } from '../order/turns.ts'
import type { PolicyDecision } from '../policy-decision.ts'
import { accessRequestOffer } from '../record/access-request-offer.ts'
import { nextAction } from '../record/next-action.ts'
import type { CallingPoint } from './callers.ts'
import { type EvaluationRequest, evaluationRequest } from './evaluation-request.ts'

/** Answers AuthZEN requests with the pipeline of grants (DESIGN §7.4): each evaluation is a decision, with its own evidence. */
export function pipelineDecider(service: PolicyDecision): AuthZenDecider {
  return { admit: (caller) => pipelineSession(service, service.admit(caller), caller.isGone) }
}

function pipelineSession(
  service: PolicyDecision,
  point: CallingPoint,
  isGone: AuthZenCaller['isGone'],
): AuthZenSession {
  const { pdp } = service
  const turns = new Turns()
  return {
    async evaluate(evaluation: AuthZenEvaluation): Promise<AuthZenDecision> {
      const turn = turns.next()
      try {
        const request = evaluationRequest(evaluation)
        return answerOf(request, await service.decide(point, request, { turn, isGone }))
      } finally {
        turn.leave()
      }
    },
    search: (search) => service.search(point, search),
  }

  function answerOf(evaluation: EvaluationRequest, answer: Answer): AuthZenDecision {
    // One identifier under two names: ours, and that of the access request profile ("Evaluation Identifier").
    const named = { decision_id: answer.decisionId, evaluation_id: answer.decisionId }
    if (answer.decision) {
      const { permit, outcomeDue: outcome_due, obligations } = answer
      const obliged = obligations.length === 0 ? {} : { obligations }
      return { decision: true, context: { ...named, permit, outcome_due, ...obliged } }
    }
    return { decision: false, context: { ...named, ...denialContext(evaluation, answer) } }
  }

  /** Says where to request access (access request profile, "Requestable Denial Context") and which nonce to use (RFC 9449 §9). */
  function denialContext(evaluation: EvaluationRequest, denied: Denied): JsonObject {
    const { reason } = denied
    const offer = accessRequestOffer(pdp, evaluation, denied)
    const obligations = obligationsOf(evaluation, denied)
    const retry_after = retrySecondsOf(reason)
    return {
      evaluated_at: new Date(pdp.clock.now()).toISOString(),
      reason,
      reason_user: { en: denialReasons[reason].remedy },
      ...(reason === 'proof_nonce_required' ? { dpop_nonce: pdp.proofs.nonce() } : {}),
      ...(offer === undefined ? {} : { access_request: offer }),
      ...(obligations.length === 0 ? {} : { obligations }),
      ...(retry_after === undefined ? {} : { retry_after }),
      ...(evaluation.withApproval ? nextAction(reason) : {}),
    }
  }
}

/** AuthZEN obligations profile, "Obligations on DENY Decisions". */
function obligationsOf({ action, resource }: EvaluationRequest, denied: Denied): Obligation[] {
  const { token, duties, decisionId, reason } = denied
  const subject = token === undefined ? 'nobody' : actingAgent(token)
  const about = { subject, action: action.name, resource, decision: false, decisionId }
  return [
    ...(duties === undefined ? [] : spellObligations(duties, about)),
    ...(reason === 'step_up_required' ? [stepUpObligation] : []),
  ]
}
