import { erasureOrderSchema } from '@bailiwick/contracts'
import type { HttpServer } from '@bailiwick/service-kit'
import type { KeptCalls } from '../kept-calls.ts'

/** For the CLI on this machine, over the operator's socket: it erases calls that were kept; it can allow nothing. */
export function operatorRoutes(operator: HttpServer, calls: KeptCalls): void {
  operator.post('/operator/calls/erase', { schema: { body: erasureOrderSchema } }, async ({ body }) => {
    const { reason, values } = body
    await calls.erase(values.map((value) => ({ ...value, by: 'operator', reason })))
    return { erased: values.map(({ attachment_id }) => attachment_id) }
  })
}
