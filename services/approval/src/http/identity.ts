import { compactJwsSchema, lineSchema, nameSchema } from '@bailiwick/contracts'
import type { HttpServer } from '@bailiwick/service-kit'
import { z } from 'zod'
import type { Approval } from '../context.ts'
import { Enrolment } from '../enrol.ts'
import { sentAssertionSchema } from '../passkey.ts'
import type { Sessions } from '../sessions.ts'
import { clearSessionCookie, fromOurPage, sessionCookie, setSessionCookie } from './browser.ts'

const personSchema = z.strictObject({ approver_id: nameSchema, name: lineSchema })
const enrolmentSchema = z.strictObject({
  enrolment_id: z.string().max(100),
  response: z.record(z.string(), z.unknown()),
  invitation: compactJwsSchema,
})
const signInSchema = z.strictObject({ sign_in_id: z.string().max(100), assertion: sentAssertionSchema })

/** `/console/api/…` for whoever is not signed in yet: what this is, enrolment by invitation, sign-in by passkey. */
export function identityRoutes(http: HttpServer, approval: Approval, sessions: Sessions): void {
  const { trust, projection } = approval
  const enrolment = new Enrolment(approval)
  const onRequest = fromOurPage(trust.origins)
  const me = ({ id, name, groups }: { id: string; name: string; groups: string[] }) => ({ me: { id, name, groups } })

  http.get('/console/api/hello', async () => ({
    enrolled: projection.ledger.registry.view().enrolled,
    installation: trust.installation,
    single_operator: trust.single_operator,
    rp_id: trust.rp_id,
  }))
  http.post('/console/api/enrolment/options', { onRequest, schema: { body: personSchema } }, async ({ body }) =>
    enrolment.options(body.approver_id, body.name),
  )
  http.post('/console/api/enrolment', { onRequest, schema: { body: enrolmentSchema } }, async ({ body }, reply) => {
    const cookie = sessions.open(await enrolment.enrol(body.enrolment_id, body.response, body.invitation))
    setSessionCookie(reply, cookie)
    return me(sessions.find(cookie).me)
  })
  http.post(
    '/console/api/session/options',
    { onRequest, schema: { body: z.strictObject({ approver_id: nameSchema.optional() }) } },
    async ({ body }) => sessions.challenge(body.approver_id),
  )
  http.post('/console/api/session', { onRequest, schema: { body: signInSchema } }, async ({ body }, reply) => {
    const cookie = await sessions.signIn(body.sign_in_id, body.assertion)
    setSessionCookie(reply, cookie)
    return me(sessions.find(cookie).me)
  })
  http.post('/console/api/session/end', { onRequest, schema: { body: z.strictObject({}) } }, async (request, reply) => {
    sessions.end(sessionCookie(request))
    clearSessionCookie(reply)
    return { ended: true }
  })
}
