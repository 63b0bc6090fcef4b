import { denialReasons } from '@bailiwick/errors'
import type { HttpServer } from '@bailiwick/service-kit'
import { accessRequestOffer } from '../access-request-offer.ts'
import type { Answer, Denied } from '../decide.ts'
import { type EvaluationRequest, parseEvaluation } from '../evaluation-request.ts'
import { nextAction } from '../next-action.ts'
import type { PolicyDecision } from '../policy-decision.ts'

/** `POST /access/v1/evaluation` (AuthZEN Authorization API 1.0 §6): 200 for every decision, 400 and 401 for what is none. */
export function evaluationRoute(http: HttpServer, service: PolicyDecision): void {
  const { pdp } = service
  http.post('/access/v1/evaluation', async (request) => {
    const point = service.authenticate(request.headers.authorization)
    const evaluation = parseEvaluation(request.body)
    return answerOf(evaluation, await service.decide(point, evaluation))
  })

  function answerOf(evaluation: EvaluationRequest, answer: Answer): object {
    // One identifier in the words of both: ours, and the access request profile's ("Evaluation Identifier").
    const named = { decision_id: answer.decisionId, evaluation_id: answer.decisionId }
    if (answer.decision) {
      const { permit, outcomeDue: outcome_due } = answer
      return { decision: true, context: { ...named, permit, outcome_due } }
    }
    return { decision: false, context: { ...named, ...denialContext(evaluation, answer) } }
  }

  /** Still a denial, and where to ask (access request profile, "Requestable Denial Context"). RFC 9449 §9: the nonce to use. */
  function denialContext(evaluation: EvaluationRequest, denied: Denied): object {
    const { reason } = denied
    const offer = accessRequestOffer(pdp, evaluation, denied)
    return {
      evaluated_at: new Date(pdp.clock.now()).toISOString(),
      reason,
      reason_user: { en: denialReasons[reason] },
      ...(reason === 'proof_nonce_required' ? { dpop_nonce: pdp.proofs.nonce() } : {}),
      ...(offer === undefined ? {} : { access_request: offer }),
      ...(evaluation.withApproval ? nextAction(reason) : {}),
    }
  }
}
