import { type DenialReason, denialReasons } from '@bailiwick/errors'
import type { HttpServer } from '@bailiwick/service-kit'
import type { Answer } from '../decide.ts'
import { isRequestable } from '../denials.ts'
import { parseEvaluation } from '../evaluation-request.ts'
import type { PolicyDecision } from '../policy-decision.ts'

const requestableForMs = 10 * 60 * 1000

/** `POST /access/v1/evaluation` (AuthZEN Authorization API 1.0 §6): 200 for every decision, 400 and 401 for what is none. */
export function evaluationRoute(http: HttpServer, service: PolicyDecision): void {
  const { pdp } = service
  http.post('/access/v1/evaluation', async (request) => {
    const point = service.authenticate(request.headers.authorization)
    const evaluation = parseEvaluation(request.body)
    return answerOf(await service.decide(point, evaluation))
  })

  function answerOf(answer: Answer): object {
    if (answer.decision) {
      const { decisionId: decision_id, permit, outcomeDue: outcome_due } = answer
      return { decision: true, context: { decision_id, permit, outcome_due } }
    }
    const { decisionId: decision_id, reason } = answer
    return {
      decision: false,
      context: { decision_id, reason: { code: reason, advice: denialReasons[reason] }, ...moreOn(reason) },
    }
  }

  /** Access request profile §"Requestable Denial": still a denial, and where to ask. RFC 9449 §9: the nonce to use. */
  function moreOn(reason: DenialReason): object {
    if (reason === 'proof_nonce_required') return { dpop_nonce: pdp.proofs.nonce() }
    if (!isRequestable(reason)) return {}
    const expires_at = new Date(pdp.clock.now() + requestableForMs).toISOString()
    return { access_request: { endpoint: `${pdp.trust.public_url}/access/v1/requests`, expires_at } }
  }
}
