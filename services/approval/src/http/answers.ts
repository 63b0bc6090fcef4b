import { statementChallenge } from '@bailiwick/approval-statement'
import { continuousSchema, requestIdSchema, sha256Schema, timestampSchema } from '@bailiwick/contracts'
import { encodeBase64url } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import type { HttpServer } from '@bailiwick/host'
import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import { approve } from '../answers/approve.ts'
import { makeStatement, type Rendered } from '../answers/make-statement.ts'
import { deny, withdraw } from '../answers/refuse.ts'
import { consoleState } from '../console/console-state.ts'
import type { Approval } from '../context.ts'
import { sentAssertionSchema } from '../people/passkey.ts'
import type { Sessions } from '../people/sessions.ts'
import { Transient } from '../transient.ts'
import { fromOurPage, sessionCookie } from './browser.ts'

const statementMs = 5 * 60 * 1000
const paramsSchema = z.object({ id: requestIdSchema })
const narrowedSchema = z.strictObject({
  authority: z.record(z.string(), z.unknown()).optional(),
  not_after: timestampSchema.optional(),
  continuous: continuousSchema.optional(),
  effect: z.literal('action').optional(),
})
const approvalSchema = z.strictObject({ statement_hash: sha256Schema, assertion: sentAssertionSchema })
const reasonSchema = z.strictObject({ reason: z.string().min(1).max(2000).optional() })

/** `/console/api/…` for signed-in people: the state, and their answers. */
export function answerRoutes(http: HttpServer, approval: Approval, sessions: Sessions): void {
  const { clock, trust } = approval
  const onRequest = fromOurPage(trust.origins)
  const shown = new Transient<Rendered>({ lifeMs: statementMs, max: 10_000, clock })
  const session = (request: FastifyRequest) => sessions.find(sessionCookie(request))
  const path = (verb: string) => `/console/api/requests/:id/${verb}`

  http.get('/console/api/state', async (request) => consoleState(approval, session(request).me))
  http.post(
    path('statement'),
    { onRequest, schema: { params: paramsSchema, body: narrowedSchema } },
    async (request) => {
      const { id, me } = session(request)
      const rendered = await makeStatement(approval, me, request.params.id, request.body)
      const { statement, statementHash, lines, argumentsText } = rendered
      // A session can sign only what it was shown, and only once.
      shown.put(`${id} ${statementHash}`, rendered, id)
      return {
        statement,
        statement_hash: statementHash,
        challenge: encodeBase64url(statementChallenge(statement)),
        rp_id: trust.rp_id,
        allow_credentials: me.credentials.map(({ credential_id }) => ({ type: 'public-key', id: credential_id })),
        lines,
        arguments: argumentsText ?? null,
      }
    },
  )
  http.post(path('approve'), { onRequest, schema: { params: paramsSchema, body: approvalSchema } }, async (request) => {
    const { id, me } = session(request)
    const { statement_hash, assertion } = request.body
    const rendered = shown.take(`${id} ${statement_hash}`)
    if (rendered?.requestId !== request.params.id) throw new ServiceError('statement_unknown')
    return approve(approval, me, rendered, assertion)
  })
  http.post(path('deny'), { onRequest, schema: { params: paramsSchema, body: reasonSchema } }, async (request) => {
    await deny(approval, session(request).me, request.params.id, request.body.reason)
    return { status: 'denied' }
  })
  http.post(path('withdraw'), { onRequest, schema: { params: paramsSchema, body: reasonSchema } }, async (request) => {
    const withdrawn = await withdraw(approval, session(request).me, request.params.id, request.body.reason)
    return { status: 'withdrawn', ...withdrawn }
  })
}
