import { compactJwsSchema, publicJwkSchema, requestIdSchema, saltedTextSchema } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import type { HttpServer } from '@bailiwick/service-kit'
import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import { callersRequest, proofLeewayMs, proofMaxAgeMs } from '../agent-caller.ts'
import { cancel } from '../cancel.ts'
import type { Approval } from '../context.ts'
import { receiveRequest } from '../receive-request.ts'
import { taskOf, taskPath } from '../task.ts'
import { Transient } from '../transient.ts'

/** A JWS and a token of 32 Ki characters each, prose of 20,000 characters of up to three bytes, and what AuthZEN adds. */
const bodyLimit = 163_840

// The profile's other members are let pass and not believed: what is asked stands in the agent's own signature.
const submissionSchema = z.looseObject({
  subject: z.looseObject({ type: z.string().min(1).max(200), id: z.string().min(1).max(2048) }),
  bailiwick: z.strictObject({
    request: compactJwsSchema,
    purpose: saltedTextSchema.optional(),
    /** How a workload without a registered key shows which instance it is; the token goes no further than this process. */
    attestation: z.strictObject({ token: z.string().min(1).max(32_768), jwk: publicJwkSchema }).optional(),
  }),
})
const paramsSchema = z.object({ id: requestIdSchema })

/** Submission, status and cancellation (AuthZEN Access Request and Approval Profile, Draft 1): parse, call, answer. */
export function accessRequestRoutes(http: HttpServer, approval: Approval): void {
  const lifeMs = proofMaxAgeMs + 2 * proofLeewayMs
  const proofs = new Transient<true>({ lifeMs, max: 200_000, clock: approval.clock })
  const callers = (request: FastifyRequest, method: 'GET' | 'POST', path: string, requestId: string) =>
    callersRequest(approval, proofs, { proof: onlyHeader(request.headers.dpop), method, path, requestId })

  http.post(
    '/access/v1/requests',
    { bodyLimit, schema: { body: submissionSchema } },
    async ({ body: { subject, bailiwick } }, reply) => {
      const record = await receiveRequest(approval, { ...bailiwick, receivedBy: 'http' })
      const agent = record.received?.kind === 'access' ? record.received.agent : ''
      // The signed ask stands whatever was written around it; who wrote something else there is told.
      if (agent !== subject.id && !agent.startsWith(`${subject.id}/`))
        throw new ServiceError('access_request_conflict', 'subject: not who signed the request')
      const answer = taskOf(approval, record)
      reply.header('location', answer.task.status_endpoint)
      return reply.status(answer.task.status === 'pending' ? 202 : 201).send(answer)
    },
  )
  http.get('/access/v1/requests/:id', { schema: { params: paramsSchema } }, async (request) => {
    const { id } = request.params
    return taskOf(approval, callers(request, 'GET', taskPath(id), id).record)
  })
  http.post('/access/v1/requests/:id/cancel', { schema: { params: paramsSchema } }, async (request) => {
    const { id } = request.params
    const { caller } = callers(request, 'POST', `${taskPath(id)}/cancel`, id)
    return taskOf(approval, await cancel(approval, id, caller))
  })
}

/** Two header fields arrive joined by a comma, which no proof contains. */
function onlyHeader(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' && !value.includes(',') ? value : undefined
}
