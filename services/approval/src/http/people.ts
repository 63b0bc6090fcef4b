import { base64urlSchema, lineSchema, nameSchema } from '@bailiwick/contracts'
import type { HttpServer } from '@bailiwick/host'
import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { People } from '../people/people.ts'
import type { Sessions } from '../people/sessions.ts'
import { fromOurPage, sessionCookie } from './browser.ts'

const invitedSchema = z.strictObject({
  approver_id: nameSchema,
  name: lineSchema,
  groups: z.array(nameSchema).max(32),
})
const passkeySchema = z.strictObject({
  enrolment_id: z.string().max(100),
  response: z.record(z.string(), z.unknown()),
})
const paramsSchema = z.object({ id: base64urlSchema.max(1400) })
const recoverySchema = z.object({ id: nameSchema })
const emptySchema = z.strictObject({})

/** `/console/api/…` for signed-in people: people and their passkeys. Every change that they make here becomes a request. */
export function peopleRoutes(http: HttpServer, origins: readonly string[], people: People, sessions: Sessions): void {
  const onRequest = fromOurPage(origins)
  const me = (request: FastifyRequest) => sessions.find(sessionCookie(request)).me
  const path = '/console/api/passkeys'

  http.get('/console/api/people', async (request) => people.view(me(request)))
  http.post('/console/api/invitations', { onRequest, schema: { body: invitedSchema } }, async (request) =>
    people.invite(me(request), request.body),
  )
  http.post(`${path}/options`, { onRequest, schema: { body: emptySchema } }, async (request) =>
    people.passkeyOptions(me(request)),
  )
  http.post(path, { onRequest, schema: { body: passkeySchema } }, async (request) =>
    people.addPasskey(me(request), request.body.enrolment_id, request.body.response),
  )
  http.post(`${path}/:id/retire`, { onRequest, schema: { params: paramsSchema, body: emptySchema } }, async (request) =>
    people.retirePasskey(me(request), request.params.id),
  )
  http.post(
    '/console/api/recoveries/:id/retire',
    { onRequest, schema: { params: recoverySchema, body: emptySchema } },
    async (request) => people.retireRecovery(me(request), request.params.id),
  )
}
