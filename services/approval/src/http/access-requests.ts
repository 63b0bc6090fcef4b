import { requestIdOf } from '@bailiwick/approval-statement'
import { type AnswerOf, agentRoutes, type Task } from '@bailiwick/contracts/api'
import { ServiceError } from '@bailiwick/errors'
import type { HttpServer } from '@bailiwick/host'
import type { RequestRecord } from '@bailiwick/projection'
import type { FastifyRequest } from 'fastify'
import type { PresentedItem } from '../asks/binding.ts'
import { cancel } from '../asks/cancel.ts'
import { rememberMs } from '../asks/expire-requests.ts'
import { Idempotency, idempotencyKeyOf } from '../asks/idempotency.ts'
import { submit } from '../asks/submission.ts'
import { isForgotten, receiptOf, taskOf, taskPath } from '../asks/task.ts'
import type { Approval } from '../context.ts'
import { askerOf, taskIdOf, taskNamed } from '../requests.ts'
import { Transient } from '../transient.ts'
import { callersTask, callingInstance, isCallOf } from './agent-caller.ts'
import type { AgentProofs } from './agent-proofs.ts'
import { sendProfileProblem } from './profile-problem.ts'

/** A JWS and a token of 32 Ki characters each, prose and arguments of 20,000 characters of up to three bytes, and AuthZEN's additions. */
const bodyLimit = 262_144
const {
  submitAccessRequest: submission,
  listAccessRequests: list,
  readAccessRequest: read,
  cancelAccessRequest: cancellation,
} = agentRoutes
const { path } = submission

/** Submission, status, list and cancellation (AuthZEN Access Request and Approval Profile, Draft 1): parse, call, answer. */
export function accessRequestRoutes(http: HttpServer, approval: Approval, proofs: AgentProofs): void {
  const { clock } = approval
  const echoes = new Transient<readonly PresentedItem[]>({ lifeMs: rememberMs, max: 10_000, clock })
  const idempotency = new Idempotency(clock)
  const errorHandler = sendProfileProblem
  const shown = (parts: readonly [RequestRecord, ...RequestRecord[]]): Task => {
    if (isForgotten(approval, parts)) throw new ServiceError('task_expired')
    return taskOf(approval, parts, echoes.get(taskIdOf(parts[0])))
  }

  http.post(path, { bodyLimit, errorHandler, schema: { body: submission.body } }, async (request, reply) => {
    const { body, headers } = request
    const { record, items, mayKnow } = await submit(approval, idempotency, body, {
      key: idempotencyKeyOf(headers['idempotency-key']),
      isBy: (agentId) => isCallOf(approval, proofs, { ...callOf(request, 'POST', path), agentId }),
      onVerified: () => request.callerVerified(),
    })
    const id = taskIdOf(record)
    if (mayKnow && body.items !== undefined && echoes.get(id) === undefined) echoes.put(id, items, askerOf(record))
    const answer = mayKnow
      ? shown(taskNamed(approval, id))
      : receiptOf(approval, requestIdOf(body.bailiwick.request), items)
    reply.header('location', answer.task.status_endpoint)
    return reply.status(answer.task.status === 'pending' ? 202 : 201).send(answer)
  })
  http.get(
    list.path,
    { errorHandler, schema: { querystring: list.query } },
    async (request): Promise<AnswerOf<typeof list>> => {
      const { agent: agentId, limit, after } = request.query
      callingInstance(approval, proofs, { ...callOf(request, 'GET', path), agentId })
      request.callerVerified()
      const ids = [...new Set(approval.own.of(agentId).map(taskIdOf))].reverse()
      const from = after === undefined ? 0 : ids.indexOf(after) + 1
      if (after !== undefined && from === 0) throw new ServiceError('access_request_unknown')
      const page = ids.slice(from, from + limit)
      const tasks = page.map((id) => taskOf(approval, taskNamed(approval, id), echoes.get(id)))
      return { tasks, ...(from + limit < ids.length ? { next: page.at(-1) } : {}) }
    },
  )
  http.get(read.path, { errorHandler, schema: { params: read.params } }, async (request) => {
    const { id: taskId } = request.params
    const { parts } = callersTask(approval, proofs, { ...callOf(request, 'GET', taskPath(taskId)), taskId })
    request.callerVerified()
    return shown(parts)
  })
  // The body may be absent, even if a header announces it. Its content is ignored, so that nothing keeps an agent from giving back.
  const config = { accepts: 'anything' } as const
  http.post(cancellation.path, { errorHandler, config, schema: { params: cancellation.params } }, async (request) => {
    const { id: taskId } = request.params
    const call = { ...callOf(request, 'POST', `${taskPath(taskId)}/cancel`), taskId }
    const { parts, caller } = callersTask(approval, proofs, call)
    request.callerVerified()
    await cancel(approval, parts, caller)
    return shown(taskNamed(approval, taskIdOf(parts[0])))
  })
}

function callOf<M extends 'GET' | 'POST'>({ headers }: FastifyRequest, method: M, at: string) {
  return { proof: onlyHeader(headers.dpop), method, path: at }
}

/** Two header fields arrive joined by a comma, which a proof never contains. */
function onlyHeader(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' && !value.includes(',') ? value : undefined
}
