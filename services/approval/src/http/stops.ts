import type { HttpServer } from '@bailiwick/host'
import { z } from 'zod'
import { stop, stoppable } from '../answers/stop.ts'
import type { Approval } from '../context.ts'
import type { Sessions } from '../people/sessions.ts'
import { fromOurPage, sessionCookie } from './browser.ts'

const stopSchema = z.strictObject({
  kind: z.enum(stoppable),
  target: z.string().min(1).max(2100),
  reason: z.string().min(1).max(2000).optional(),
})

/** `POST /console/api/stops`, for signed-in people. The answer means that the stop is durable and counts (V7). */
export function stopRoutes(http: HttpServer, approval: Approval, sessions: Sessions): void {
  const onRequest = fromOurPage(approval.trust.origins)
  http.post('/console/api/stops', { onRequest, schema: { body: stopSchema } }, async (request) => {
    const { me } = sessions.find(sessionCookie(request))
    const { kind, target, reason } = request.body
    return { status: 'stopped', ...(await stop(approval, me, { kind, target, reason })) }
  })
}
