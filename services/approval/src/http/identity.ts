import { compactJwsSchema, lineSchema, nameSchema } from '@bailiwick/contracts'
import type { HttpServer } from '@bailiwick/host'
import { z } from 'zod'
import type { Approval } from '../context.ts'
import type { Enrolment } from '../people/enrol.ts'
import { sentAssertionSchema } from '../people/passkey.ts'
import type { People } from '../people/people.ts'
import type { Sessions } from '../people/sessions.ts'
import { clearSessionCookie, fromOurPage, sessionCookie, setSessionCookie } from './browser.ts'

const codeSchema = z.string().max(100)
/** The word that the enrolment relies on: the installation's invitation, a colleague's link, or a recovery. */
const wordSchema = z.union([
  z.strictObject({ approver_id: nameSchema, name: lineSchema }),
  z.strictObject({ code: codeSchema }),
  z.strictObject({ recovery: nameSchema }),
])
const made = { enrolment_id: z.string().max(100), response: z.record(z.string(), z.unknown()) }
const enrolmentSchema = z.union([
  z.strictObject({ ...made, invitation: compactJwsSchema }),
  z.strictObject({ ...made, code: codeSchema }),
  z.strictObject({ ...made, invitation: compactJwsSchema, recovery: nameSchema }),
])
const signInSchema = z.strictObject({ sign_in_id: z.string().max(100), assertion: sentAssertionSchema })

/** `/console/api/…` for people who are not signed in yet: the installation, enrolment on another's word, and sign-in by passkey. */
export function identityRoutes(
  http: HttpServer,
  approval: Approval,
  { sessions, enrolment, people }: { sessions: Sessions; enrolment: Enrolment; people: People },
): void {
  const { trust, projection } = approval
  const onRequest = fromOurPage(trust.origins)
  const me = ({ id, name, groups }: { id: string; name: string; groups: string[] }) => ({ me: { id, name, groups } })

  http.get('/console/api/hello', async () => ({
    enrolled: projection.ledger.registry.view().enrolled,
    installation: trust.installation,
    single_operator: trust.single_operator,
    software_approver: trust.software_approver === true,
    rp_id: trust.rp_id,
  }))
  http.post('/console/api/enrolment/options', { onRequest, schema: { body: wordSchema } }, async ({ body }) => {
    if ('code' in body) return people.inviteeOptions(body.code)
    return 'recovery' in body
      ? enrolment.recoveryOptions(body.recovery)
      : enrolment.options(body.approver_id, body.name)
  })
  http.post('/console/api/enrolment', { onRequest, schema: { body: enrolmentSchema } }, async (request, reply) => {
    const { body } = request
    const { enrolment_id: id, response } = body
    // A person whom a colleague invited is not an approver yet: people answer that change first.
    if ('code' in body) {
      const invited = await people.enrolInvitee(id, response, body.code)
      request.callerVerified()
      return invited
    }
    const enrolled =
      'recovery' in body
        ? await enrolment.recover(id, response, body.invitation, body.recovery)
        : await enrolment.enrol(id, response, body.invitation)
    request.callerVerified()
    const cookie = sessions.open(enrolled)
    setSessionCookie(reply, cookie)
    return me(sessions.find(cookie).me)
  })
  http.post(
    '/console/api/session/options',
    { onRequest, schema: { body: z.strictObject({ approver_id: nameSchema.optional() }) } },
    async ({ body }) => sessions.challenge(body.approver_id),
  )
  http.post('/console/api/session', { onRequest, schema: { body: signInSchema } }, async (request, reply) => {
    const { sign_in_id, assertion } = request.body
    const cookie = await sessions.signIn(sign_in_id, assertion)
    request.callerVerified()
    setSessionCookie(reply, cookie)
    return me(sessions.find(cookie).me)
  })
  http.post('/console/api/session/end', { onRequest, schema: { body: z.strictObject({}) } }, async (request, reply) => {
    sessions.end(sessionCookie(request))
    clearSessionCookie(reply)
    return { ended: true }
  })
}
