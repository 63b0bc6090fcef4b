import { requestIdSchema } from '@bailiwick/contracts'
import type { HttpServer } from '@bailiwick/host'
import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import { GrantIndex } from '../console/grant-index.ts'
import { listGrants } from '../console/grant-views.ts'
import { LiveEvents } from '../console/live-events.ts'
import { cursorPattern } from '../console/ordered.ts'
import { listAgents, listEntities, listRules } from '../console/registry-views.ts'
import { requestDetail } from '../console/request-detail.ts'
import { RequestIndex } from '../console/request-index.ts'
import { listRequests } from '../console/request-list.ts'
import type { Approval } from '../context.ts'
import { pendingRecoveries } from '../people/people.ts'
import { type Sessions, sessionSeconds } from '../people/sessions.ts'
import { notFromElsewhere, sessionCookie } from './browser.ts'

const words = z.string().trim().min(1).max(200).optional()
const agent = z.string().min(1).max(2048).optional()
const cursor = z.string().regex(cursorPattern).optional()
const requestsQuery = z.strictObject({
  state: z.enum(['pending', 'answered']).default('pending'),
  kind: z.enum(['access', 'registry', 'step_up']).optional(),
  agent,
  q: words,
  cursor,
})
const grantsQuery = z.strictObject({
  state: z.enum(['active', 'ended', 'all']).default('active'),
  agent,
  q: words,
  cursor,
})
const searchQuery = z.strictObject({ q: words })

/**
 * `GET /console/api/…`: what a signed-in person may see, page by page, and the stream that says when to look again.
 * Returns what must be stopped with the service.
 */
export function consoleRoutes(http: HttpServer, approval: Approval, sessions: Sessions): Disposable {
  const using = new DisposableStack()
  const requests = using.use(new RequestIndex(approval))
  const grants = using.use(new GrantIndex(approval))
  const live = using.use(new LiveEvents(approval, sessions))
  const me = (request: FastifyRequest) => sessions.find(sessionCookie(request)).me
  const { projection, trust, clock } = approval

  http.get('/console/api/me', async (request) => {
    const { id, name, groups } = me(request)
    return {
      me: { id, name, groups },
      now: new Date(clock.now()).toISOString(),
      installation: trust.installation,
      single_operator: trust.single_operator,
      software_approver: trust.software_approver === true,
      people: projection.ledger.registry.approvers.length,
      fresh: projection.fresh(),
      pending: requests.open.size,
      recoveries: pendingRecoveries(approval),
    }
  })
  http.get('/console/api/requests', { schema: { querystring: requestsQuery } }, async (request) =>
    listRequests(approval, requests, me(request), request.query),
  )
  http.get('/console/api/requests/:id', { schema: { params: z.object({ id: requestIdSchema }) } }, async (request) =>
    requestDetail(approval, requests, me(request), request.params.id),
  )
  http.get('/console/api/grants', { schema: { querystring: grantsQuery } }, async (request) =>
    listGrants(approval, grants, me(request), request.query),
  )
  http.get('/console/api/agents', { schema: { querystring: searchQuery } }, async (request) => {
    me(request)
    return listAgents(approval, request.query)
  })
  http.get('/console/api/registry', { schema: { querystring: searchQuery } }, async (request) => {
    me(request)
    return listEntities(approval, requests, request.query)
  })
  http.get('/console/api/rules', async (request) => {
    me(request)
    return listRules(approval)
  })
  // The response lasts at most as long as the session. Then the page must sign in again to go on listening.
  const onRequest = notFromElsewhere(approval.trust.origins)
  http.get('/console/api/events', { onRequest, config: { handlerMs: sessionSeconds * 1000 } }, async (request, reply) =>
    reply.header('content-type', 'text/event-stream').send(live.open(sessionCookie(request))),
  )
  http.addHook('onResponse', async (request) => {
    if (request.url === '/console/api/session/end') live.check()
  })
  http.addHook('preClose', async () => live.close())
  return using
}
