import { agentAlgorithms } from '@bailiwick/credentials'
import type { ErrorCode } from '@bailiwick/errors'
import { answerWith, problemOf } from '@bailiwick/host'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { NonceNeeded } from './agent-proofs.ts'

/** The access request profile's problem types ("Error Responses"), by our codes. */
const types: Partial<Record<ErrorCode, string>> = {
  denial_not_requestable: 'not_requestable',
  denial_expired: 'expired_denial',
  denial_binding_invalid: 'invalid_denial_binding',
  idempotency_key_reused: 'duplicate_request',
  access_request_unknown: 'unknown_task',
  task_expired: 'task_expired',
  access_request_not_pending: 'invalid_task_state',
}

/** Answers with a problem document. Its `type` is the profile's, if the profile has one; `code` is always ours. */
export function sendProfileProblem(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const problem = problemOf(request, error)
  const type = types[problem.code]
  const named = type === undefined ? problem : { ...problem, type: `urn:openid:authzen:access-request:error:${type}` }
  // RFC 9110 §15.5.2, RFC 9449 §7.1: callers authenticate with a DPoP proof only.
  const wanted = error instanceof NonceNeeded ? 'error="use_dpop_nonce", ' : ''
  if (problem.status === 401) reply.header('www-authenticate', `DPoP ${wanted}algs="${agentAlgorithms.join(' ')}"`)
  if (error instanceof NonceNeeded) reply.header('dpop-nonce', error.nonce)
  answerWith(reply, named, request.failure?.retryAfterSeconds)
}
