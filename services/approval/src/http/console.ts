import { type AnswerOf, consoleRoutes as contract, passkeyRoutes } from '@bailiwick/contracts/api'
import type { HttpServer } from '@bailiwick/host'
import type { FastifyRequest } from 'fastify'
import { GrantIndex } from '../console/grant-index.ts'
import { listGrants } from '../console/grant-views.ts'
import { LiveEvents } from '../console/live-events.ts'
import { listAgents, listRules, readAgent } from '../console/registry-views.ts'
import { requestDetail } from '../console/request-detail.ts'
import { RequestIndex } from '../console/request-index.ts'
import { listRequests } from '../console/request-list.ts'
import type { Approval } from '../context.ts'
import { emergencies } from '../emergency/emergencies.ts'
import { pendingRecoveries } from '../people/people.ts'
import { type Sessions, sessionSeconds } from '../people/sessions.ts'
import { notFromElsewhere, sessionCookie } from './browser.ts'

const { whoAmI, listRequests: requestList, readRequest, listGrants: grantList } = contract
const { listAgents: agentList, readAgent: oneAgent, listRules: ruleList, followChanges } = contract

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

  http.get(whoAmI.path, async (request): Promise<AnswerOf<typeof whoAmI>> => {
    const person = me(request)
    const { id, name, groups } = person
    const { mine, all } = requests.waiting(person)
    return {
      me: { id, name, groups },
      now: new Date(clock.now()).toISOString(),
      installation: trust.installation,
      single_operator: trust.single_operator,
      software_approver: trust.software_approver === true,
      people: projection.ledger.registry.approvers.length,
      fresh: projection.fresh(),
      pending: mine,
      pending_in_all: all,
      recoveries: pendingRecoveries(approval),
      emergencies: emergencies(approval, person),
    }
  })
  http.get(requestList.path, { schema: { querystring: requestList.query } }, async (request) =>
    listRequests(approval, requests, me(request), request.query),
  )
  http.get(readRequest.path, { schema: { params: readRequest.params } }, async (request) =>
    requestDetail(approval, requests, me(request), request.params.id),
  )
  http.get(grantList.path, { schema: { querystring: grantList.query } }, async (request) =>
    listGrants(approval, grants, me(request), request.query),
  )
  http.get(
    agentList.path,
    { schema: { querystring: agentList.query } },
    async (request): Promise<AnswerOf<typeof agentList>> => {
      me(request)
      return listAgents(approval, request.query)
    },
  )
  http.get(
    oneAgent.path,
    { schema: { params: oneAgent.params } },
    async (request): Promise<AnswerOf<typeof oneAgent>> => readAgent(approval, me(request), request.params['*']),
  )
  http.get(ruleList.path, async (request): Promise<AnswerOf<typeof ruleList>> => {
    me(request)
    return listRules(approval)
  })
  // The response lasts at most as long as the session. Then the page must sign in again to go on listening.
  const onRequest = notFromElsewhere(approval.trust.origins)
  const lasts = { config: { handlerMs: sessionSeconds * 1000 }, schema: { querystring: followChanges.query } }
  http.get(followChanges.path, { onRequest, ...lasts }, async (request, reply) => {
    const { since } = request.query
    const stream = live.open(sessionCookie(request), since === undefined ? undefined : Date.parse(since))
    return reply.header('content-type', followChanges.gives).send(stream)
  })
  http.addHook('onResponse', async (request) => {
    if (request.url === passkeyRoutes.signOut.path) live.check()
  })
  http.addHook('preClose', async () => live.close())
  return using
}
