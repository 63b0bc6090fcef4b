import { evidenceRoutes } from '@bailiwick/contracts/api'
import type { HttpServer } from '@bailiwick/host'
import type { TraceLeaf } from '@bailiwick/verify'
import { gather, type LogView } from '../index/gather.ts'
import { shownValues } from '../words/shown-values.ts'
import type { ValueStore } from '../words/value-store.ts'
import { cursorOf, searchOf } from './search.ts'

const { path, params, query } = evidenceRoutes.showValues

/**
 * `GET /v1/values/{id}`: the values behind the salted hashes in the events of a request, action, agent or task, in one event, or of one
 * attachment, and whether each value is still available. With `causes=true`, also those of the events that these followed from. Only on
 * the operator's socket: only the log itself may be public.
 */
export function valuesRoute(operator: HttpServer, from: () => { log: LogView; values: ValueStore }): void {
  operator.get(path, { schema: { params, querystring: query } }, async (request) => {
    const { log, values } = from()
    // The name of an attachment is the hash that events hold.
    const id = request.params['*'].replace(/^att_(?=[\w-]{43}$)/, '')
    const { causes, limit, ...search } = request.query
    const { found, leaves, next } = await gather(searchOf({ ...search, id }), log, limit)
    // Other events may name this one, and none of them may pass its words off as this event's.
    const isAsked = ({ event }: TraceLeaf) => !id.startsWith('evt_') || event.id === id
    const shown = await Promise.all(
      (causes ? leaves : found.filter(isAsked)).map(async ({ index, event }) => {
        const { id: event_id, type, time, subject } = event
        const each = await shownValues(event.data, values)
        return each.map((value) => ({ leaf_index: index, event_id, type, time, subject, ...value }))
      }),
    )
    return { values: shown.flat(), ...(next === undefined ? {} : { next: cursorOf(next) }) }
  })
}
