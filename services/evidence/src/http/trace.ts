import { type EventsQuery, evidenceRoutes, type TraceQuery } from '@bailiwick/contracts/api'
import { ServiceError } from '@bailiwick/errors'
import type { HttpServer } from '@bailiwick/host'
import type { Voice } from '@bailiwick/instance'
import { flatten, type TraceTrust, traceOf } from '@bailiwick/verify'
import { activityOf } from '../index/activity-view.ts'
import { beginningsAmong, eventView } from '../index/event-view.ts'
import { gather, type LogView } from '../index/gather.ts'
import type { LeafIndex } from '../index/leaf-index.ts'
import type { LogReader } from '../log/log-reader.ts'
import { deniedOf } from '../touched/denied-view.ts'
import { touchedOf } from '../touched/touched-view.ts'
import type { Admit } from './readers.ts'
import { cursorOf, searchOf } from './search.ts'

const { trace, searchEvents, readEvent, countActivity, countTouched, countDenied } = evidenceRoutes

interface Asked extends Pick<Voice, 'projection' | 'keyRing'> {
  log: () => { index: LeafIndex; reader: LogReader }
  trust: TraceTrust['trust']
}

/**
 * What happened, read from the log. `GET /v1/trace/{id}`: the story of an action, call, credential, grant, request, agent, approver or
 * task, as trees in time (`trees`) and one step after the other, newest first (`steps`). Its `verified` says whether every step's
 * signatures are valid and every leaf could be read. `GET /v1/events`: the events that a search finds, newest first, not verified.
 * `GET /v1/events/{event id}`: the exact text of its leaf, and its receipt (C2SP tlog-proof). `GET /v1/activity`: how often each agent got
 * a yes and a no, by the hour. `GET /v1/touched`: what one agent did and was denied, by tool and resource.
 * `GET /v1/denied`: which agents were denied which tools. Lists have `next` if there is more. Their `unread` has the indices of leaves that a newer version wrote and
 * this one cannot read.
 */
export function traceRoutes(server: HttpServer, admit: Admit, { log, keyRing, projection, trust }: Asked): void {
  const { registry } = projection.ledger
  const view = (): LogView & { index: LeafIndex; reader: LogReader } => {
    const { index, reader } = log()
    return { index, reader, readLeaf: reader.leaf, registry }
  }

  const traced = async (id: string, query: TraceQuery) => {
    const from = view()
    const { found, leaves, unread, next } = await gather(searchOf({ ...query, id }), from, query.limit)
    const isWhole = Object.keys(query).length === 1
    if (found.length + unread.length === 0 && next === undefined && isWhole)
      throw new ServiceError('entity_unknown', 'the log names no such thing')
    const trees = await traceOf(found, leaves, { trust, keyRing, registry })
    const steps = flatten(trees)
    const { size, note } = from.reader.checkpoint()
    return {
      id,
      verified: unread.length === 0 && steps.every(({ verified }) => verified),
      truncated: next !== undefined,
      ...(next === undefined ? {} : { next: cursorOf(next) }),
      ...unreadIn(unread),
      steps,
      trees,
      size,
      checkpoint: note,
    }
  }

  const searched = async (query: EventsQuery) => {
    const from = view()
    const { found, leaves, unread, next } = await gather(searchOf(query), from, query.limit)
    const beginnings = beginningsAmong(leaves)
    const events = found.map((leaf) => eventView(leaf, beginnings, registry, from.index))
    const { size } = from.reader.checkpoint()
    return { events, ...unreadIn(unread), ...(next === undefined ? {} : { next: cursorOf(next) }), size }
  }

  const received = async (eventId: string) => {
    const { reader, index } = view()
    const at = index.indexOfEvent(eventId)
    const entry = at === undefined ? undefined : await reader.leaf(at)
    const receipt = entry && (await reader.proof(eventId))
    if (receipt === undefined) throw new ServiceError('entity_unknown', 'the log has no leaf of this event yet')
    return { event_id: eventId, leaf_index: at, entry: Buffer.from(entry as Uint8Array).toString(), receipt }
  }

  server.get(trace.path, { schema: { params: trace.params, querystring: trace.query } }, async (request) =>
    admit(request, request.query.limit / 20, () => traced(request.params['*'], request.query)),
  )
  server.get(searchEvents.path, { schema: { querystring: searchEvents.query } }, async (request) =>
    admit(request, 1 + request.query.limit / 50, () => searched(request.query)),
  )
  server.get(readEvent.path, { schema: { params: readEvent.params } }, async (request) =>
    admit(request, 1, () => received(request.params.eventId)),
  )
  server.get(countActivity.path, { schema: { querystring: countActivity.query } }, async (request) =>
    admit(request, 5, async () => {
      const { from, to } = request.query
      return activityOf(log().index.activity(from, to), { from, to })
    }),
  )
  server.get(countTouched.path, { schema: { querystring: countTouched.query } }, async (request) =>
    admit(request, 5, async () => {
      const { agent, from, to } = request.query
      return { agent, ...touchedOf(log().index.touched(agent, from, to), { from, to }) }
    }),
  )
  server.get(countDenied.path, { schema: { querystring: countDenied.query } }, async (request) =>
    admit(request, 10, async () => {
      const { from, to } = request.query
      return deniedOf(log().index.denied(from, to), { from, to })
    }),
  )
}

const unreadIn = (unread: readonly number[]) => (unread.length === 0 ? {} : { unread })
