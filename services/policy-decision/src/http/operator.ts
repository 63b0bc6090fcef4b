import { type AnswerOf, policyDecisionRoutes } from '@bailiwick/contracts/api'
import { ServiceError } from '@bailiwick/errors'
import type { HttpServer } from '@bailiwick/host'
import type { KeptCalls } from '../record/kept-calls.ts'

const { eraseCalls, listPointsWithoutInstance: points } = policyDecisionRoutes

/**
 * Routes for the CLI on this machine, over the operator's socket. They erase kept calls and name the enforcement points that state no
 * instance; they can allow nothing. A decision point that is cut off immediately refuses to erase (`state_stale`), so that the CLI asks
 * the next one without a wait.
 */
export function operatorRoutes(
  operator: HttpServer,
  calls: Pick<KeptCalls, 'erase'>,
  { isFresh, pointsWithoutInstance }: { isFresh: () => boolean; pointsWithoutInstance: () => string[] },
): void {
  operator.post(
    eraseCalls.path,
    { schema: { body: eraseCalls.body } },
    async ({ body }): Promise<AnswerOf<typeof eraseCalls>> => {
      if (!isFresh()) throw new ServiceError('state_stale')
      const { reason, values } = body
      await calls.erase(values.map((value) => ({ ...value, by: 'operator', reason })))
      return { erased: values.map(({ attachment_id }) => attachment_id) }
    },
  )
  operator.get(
    points.path,
    async (): Promise<AnswerOf<typeof points>> => ({ without_instance: pointsWithoutInstance() }),
  )
}
