import { erasureOrderSchema } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import type { HttpServer } from '@bailiwick/service-kit'
import type { KeptCalls } from '../kept-calls.ts'

/**
 * For the CLI on this machine, over the operator's socket: it erases calls that were kept, and names the enforcement points that state no
 * instance; it can allow nothing. A decision point that is cut off refuses to erase at once (`state_stale`), so that
 * the CLI asks the next one without a wait.
 */
export function operatorRoutes(
  operator: HttpServer,
  calls: Pick<KeptCalls, 'erase'>,
  { isFresh, pointsWithoutInstance }: { isFresh: () => boolean; pointsWithoutInstance: () => string[] },
): void {
  operator.post('/operator/calls/erase', { schema: { body: erasureOrderSchema } }, async ({ body }) => {
    if (!isFresh()) throw new ServiceError('state_stale')
    const { reason, values } = body
    await calls.erase(values.map((value) => ({ ...value, by: 'operator', reason })))
    return { erased: values.map(({ attachment_id }) => attachment_id) }
  })
  operator.get('/operator/points', async () => ({ without_instance: pointsWithoutInstance() }))
}
