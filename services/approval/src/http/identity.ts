import { type AnswerOf, consoleRoutes, passkeyRoutes } from '@bailiwick/contracts/api'
import type { HttpServer } from '@bailiwick/host'
import type { Approval } from '../context.ts'
import type { Enrolment } from '../people/enrol.ts'
import type { People } from '../people/people.ts'
import type { Sessions } from '../people/sessions.ts'
import { clearSessionCookie, fromOurPage, sessionCookie, setSessionCookie } from './browser.ts'

const { beginEnrolment, enrol, beginSignIn, signIn, signOut } = passkeyRoutes
const { greet } = consoleRoutes

/** `/console/api/…` for people who are not signed in yet: the installation, enrolment on another's word, and sign-in by passkey. */
export function identityRoutes(
  http: HttpServer,
  approval: Approval,
  { sessions, enrolment, people }: { sessions: Sessions; enrolment: Enrolment; people: People },
): void {
  const { trust, projection } = approval
  const onRequest = fromOurPage(trust.origins)
  const me = ({ id, name, groups }: { id: string; name: string; groups: string[] }) => ({ me: { id, name, groups } })

  http.get(
    greet.path,
    async (): Promise<AnswerOf<typeof greet>> => ({
      enrolled: projection.ledger.registry.view().enrolled,
      installation: trust.installation,
      single_operator: trust.single_operator,
      software_approver: trust.software_approver === true,
      rp_id: trust.rp_id,
    }),
  )
  http.post(beginEnrolment.path, { onRequest, schema: { body: beginEnrolment.body } }, async ({ body }) => {
    if ('code' in body) return people.inviteeOptions(body.code)
    return 'recovery' in body
      ? enrolment.recoveryOptions(body.recovery)
      : enrolment.options(body.approver_id, body.name)
  })
  http.post(
    enrol.path,
    { onRequest, schema: { body: enrol.body } },
    async (request, reply): Promise<AnswerOf<typeof enrol>> => {
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
    },
  )
  http.post(beginSignIn.path, { onRequest, schema: { body: beginSignIn.body } }, async ({ body }) =>
    sessions.challenge(body.approver_id),
  )
  http.post(
    signIn.path,
    { onRequest, schema: { body: signIn.body } },
    async (request, reply): Promise<AnswerOf<typeof signIn>> => {
      const { sign_in_id, assertion } = request.body
      const cookie = await sessions.signIn(sign_in_id, assertion)
      request.callerVerified()
      setSessionCookie(reply, cookie)
      return me(sessions.find(cookie).me)
    },
  )
  http.post(
    signOut.path,
    { onRequest, schema: { body: signOut.body } },
    async (request, reply): Promise<AnswerOf<typeof signOut>> => {
      sessions.end(sessionCookie(request))
      clearSessionCookie(reply)
      return { ended: true }
    },
  )
}
