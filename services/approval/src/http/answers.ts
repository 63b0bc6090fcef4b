import { statementChallenge } from '@bailiwick/approval-statement'
import { type AnswerOf, consoleRoutes } from '@bailiwick/contracts/api'
import { encodeBase64url } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import type { HttpServer } from '@bailiwick/host'
import type { FastifyRequest } from 'fastify'
import { approve } from '../answers/approve.ts'
import { makeStatement, type Rendered } from '../answers/make-statement.ts'
import { deny, withdraw } from '../answers/refuse.ts'
import { stop } from '../answers/stop.ts'
import { consoleState } from '../console/console-state.ts'
import type { Approval } from '../context.ts'
import type { Sessions } from '../people/sessions.ts'
import { Transient } from '../transient.ts'
import { fromOurPage, sessionCookie } from './browser.ts'

const statementMs = 5 * 60 * 1000
const { readState, makeStatement: rendering, approve: approving, deny: denying, withdraw: withdrawing } = consoleRoutes
const stopping = consoleRoutes.stop

/** `/console/api/…` for signed-in people: the state, their answers, and their stops. */
export function answerRoutes(http: HttpServer, approval: Approval, sessions: Sessions): void {
  const { clock, trust } = approval
  const onRequest = fromOurPage(trust.origins)
  const shown = new Transient<Rendered>({ lifeMs: statementMs, max: 10_000, clock })
  const session = (request: FastifyRequest) => sessions.find(sessionCookie(request))

  http.get(readState.path, async (request) => consoleState(approval, session(request).me))
  http.post(
    rendering.path,
    { onRequest, schema: { params: rendering.params, body: rendering.body } },
    async (request): Promise<AnswerOf<typeof rendering>> => {
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
  http.post(
    approving.path,
    { onRequest, schema: { params: approving.params, body: approving.body } },
    async (request): Promise<AnswerOf<typeof approving>> => {
      const { id, me } = session(request)
      const { statement_hash, assertion } = request.body
      const rendered = shown.take(`${id} ${statement_hash}`)
      if (rendered?.requestId !== request.params.id) throw new ServiceError('statement_unknown')
      return approve(approval, me, rendered, assertion)
    },
  )
  http.post(
    denying.path,
    { onRequest, schema: { params: denying.params, body: denying.body } },
    async (request): Promise<AnswerOf<typeof denying>> => {
      await deny(approval, session(request).me, request.params.id, request.body.reason)
      return { status: 'denied' }
    },
  )
  http.post(
    withdrawing.path,
    { onRequest, schema: { params: withdrawing.params, body: withdrawing.body } },
    async (request): Promise<AnswerOf<typeof withdrawing>> => {
      const withdrawn = await withdraw(approval, session(request).me, request.params.id, request.body.reason)
      return { status: 'withdrawn', ...withdrawn }
    },
  )
  // The answer means that the stop is durable and counts (V7).
  http.post(
    stopping.path,
    { onRequest, schema: { body: stopping.body } },
    async (request): Promise<AnswerOf<typeof stopping>> => {
      const { kind, target, reason } = request.body
      return { status: 'stopped', ...(await stop(approval, session(request).me, { kind, target, reason })) }
    },
  )
}
