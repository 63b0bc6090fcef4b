import { type AnswerOf, consoleRoutes, passkeyRoutes } from '@bailiwick/contracts/api'
import type { HttpServer } from '@bailiwick/host'
import type { FastifyRequest } from 'fastify'
import type { People } from '../people/people.ts'
import type { Sessions } from '../people/sessions.ts'
import { fromOurPage, sessionCookie } from './browser.ts'

const { listPeople, invite, retireRecovery } = consoleRoutes
const { beginPasskey, addPasskey, retirePasskey } = passkeyRoutes

/** `/console/api/…` for signed-in people: people and their passkeys. Every change that they make here becomes a request. */
export function peopleRoutes(http: HttpServer, origins: readonly string[], people: People, sessions: Sessions): void {
  const onRequest = fromOurPage(origins)
  const me = (request: FastifyRequest) => sessions.find(sessionCookie(request)).me

  http.get(listPeople.path, async (request): Promise<AnswerOf<typeof listPeople>> => people.view(me(request)))
  http.post(invite.path, { onRequest, schema: { body: invite.body } }, async (request) =>
    people.invite(me(request), request.body),
  )
  http.post(beginPasskey.path, { onRequest, schema: { body: beginPasskey.body } }, async (request) =>
    people.passkeyOptions(me(request)),
  )
  http.post(addPasskey.path, { onRequest, schema: { body: addPasskey.body } }, async (request) =>
    people.addPasskey(me(request), request.body.enrolment_id, request.body.response),
  )
  http.post(
    retirePasskey.path,
    { onRequest, schema: { params: retirePasskey.params, body: retirePasskey.body } },
    async (request) => people.retirePasskey(me(request), request.params.id),
  )
  http.post(
    retireRecovery.path,
    { onRequest, schema: { params: retireRecovery.params, body: retireRecovery.body } },
    async (request) => people.retireRecovery(me(request), request.params.id),
  )
}
