import { type AnswerOf, consoleRoutes } from '@bailiwick/contracts/api'
import type { HttpServer } from '@bailiwick/host'
import type { FastifyRequest } from 'fastify'
import { receiveRequest } from '../asks/receive-request.ts'
import type { Approval } from '../context.ts'
import { fromOurPage, sessionCookie } from '../http/browser.ts'
import type { Sessions } from '../people/sessions.ts'
import { reviewEmergency } from './emergencies.ts'

const { openEmergency: opening, reviewEmergency: review } = consoleRoutes

/** `/console/api/emergencies`, for signed-in people. A program has no way in: it has no passkey. */
export function emergencyRoutes(http: HttpServer, approval: Approval, sessions: Sessions): void {
  const onRequest = fromOurPage(approval.trust.origins)
  const person = (request: FastifyRequest) => sessions.find(sessionCookie(request)).me

  http.post(
    opening.path,
    { onRequest, schema: { body: opening.body } },
    async (request): Promise<AnswerOf<typeof opening>> => {
      const by = person(request)
      const { request: signed, jwk, purpose } = request.body
      const record = await receiveRequest(approval, {
        request: signed,
        purpose,
        receivedBy: 'http',
        emergency: { by, jwk },
      })
      return { request_id: record.id }
    },
  )
  http.post(
    review.path,
    { onRequest, schema: { params: review.params } },
    async (request): Promise<AnswerOf<typeof review>> => {
      await reviewEmergency(approval, person(request), request.params.id)
      return { status: 'reviewed' }
    },
  )
}
