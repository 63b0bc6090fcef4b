import { type AnswerOf, consoleRoutes } from '@bailiwick/contracts/api'
import type { HttpServer } from '@bailiwick/host'
import { stop } from '../answers/stop.ts'
import type { Approval } from '../context.ts'
import type { Sessions } from '../people/sessions.ts'
import { fromOurPage, sessionCookie } from './browser.ts'

const { path, body } = consoleRoutes.stop
type Answer = AnswerOf<typeof consoleRoutes.stop>

/** `POST /console/api/stops`, for signed-in people. The answer means that the stop is durable and counts (V7). */
export function stopRoutes(http: HttpServer, approval: Approval, sessions: Sessions): void {
  const onRequest = fromOurPage(approval.trust.origins)
  http.post(path, { onRequest, schema: { body } }, async (request): Promise<Answer> => {
    const { me } = sessions.find(sessionCookie(request))
    const { kind, target, reason } = request.body
    return { status: 'stopped', ...(await stop(approval, me, { kind, target, reason })) }
  })
}
