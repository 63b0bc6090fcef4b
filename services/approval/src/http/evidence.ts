import { consoleRoutes } from '@bailiwick/contracts/api'
import { ServiceError } from '@bailiwick/errors'
import type { HttpServer } from '@bailiwick/host'
import { RateLimiter } from '@bailiwick/kit'
import type { RegistryState } from '@bailiwick/projection'
import type { FastifyRequest } from 'fastify'
import { type EvidenceReader, rereadMs } from '../console/evidence-reader.ts'
import type { Approval } from '../context.ts'
import type { Sessions } from '../people/sessions.ts'
import { notFromElsewhere, sessionCookie } from './browser.ts'

const { searchEvidence, countActivity, countTouched, countDenied, traceEvidence, readReceipt, readValues } =
  consoleRoutes
const { proveAction, makeReport } = consoleRoutes

/** Limits what one person makes evidence read again. Evidence proves hundreds of entries, and reads the whole log for one person at a time. */
const usual = { perSecond: 10, burst: 200, maxKeys: 10_000 }
const ofAProof = 25
const ofAReport = 100

/**
 * `GET /console/api/evidence/…`: evidence's data, for signed-in people. Evidence does not know these people: it answers this
 * service, and only on these paths.
 */
export function evidenceRoutes(
  http: HttpServer,
  { trust, projection, logger, clock }: Approval,
  { evidence, sessions }: { evidence: EvidenceReader; sessions: Sessions },
): void {
  const { registry } = projection.ledger
  const signedIn = async (request: FastifyRequest) => void sessions.find(sessionCookie(request))
  const onRequest = [notFromElsewhere(trust.origins), signedIn]
  const rate = new RateLimiter({ ...usual, clock })
  const paying = (request: FastifyRequest, cost: number): string => {
    const { id } = sessions.find(sessionCookie(request)).me
    const rated = rate.take(id, cost)
    if (rated.ok) return id
    throw new ServiceError('rate_limited', 'too much at once', { retryAfterSeconds: rated.retryAfterSeconds })
  }
  const json = 'application/json; charset=utf-8'
  for (const { name, path, query: querystring } of [
    { name: 'events', ...searchEvidence },
    { name: 'activity', ...countActivity },
    { name: 'touched', ...countTouched },
    { name: 'denied', ...countDenied },
  ])
    http.get(path, { onRequest, schema: { querystring } }, async ({ query }, reply) =>
      reply.type(json).send(await evidence.get(`/v1/${name}${asked(inFull(registry, query))}`)),
    )
  http.get(
    traceEvidence.path,
    { onRequest, schema: { params: traceEvidence.params, querystring: traceEvidence.query } },
    async ({ params, query }, reply) =>
      reply.type(json).send(await evidence.get(`/v1/trace/${encodeURIComponent(params['*'])}${asked(query)}`)),
  )
  http.get(proveAction.path, { onRequest, schema: { params: proveAction.params } }, async (request, reply) => {
    paying(request, ofAProof)
    return reply.type(json).send(await evidence.get(`/v1/bundle/${encodeURIComponent(request.params['*'])}`))
  })
  http.get(
    makeReport.path,
    { onRequest, config: { handlerMs: rereadMs }, schema: { querystring: makeReport.query } },
    async (request, reply) => {
      const person = paying(request, ofAReport)
      const report = await evidence.reread(`/v1/report${asked(request.query)}`)
      logger.info({ person }, 'a person made a report of the log')
      return reply.type(json).send(report)
    },
  )
  // Evidence gives words only over its socket on this machine, never to an auditor's key. So it does from here.
  http.get(readValues.path, { onRequest, schema: { params: readValues.params } }, async (request, reply) => {
    const { eventId } = request.params
    const person = sessions.find(sessionCookie(request)).me.id
    const values = await evidence.get(`/v1/values/${eventId}`)
    logger.info({ person, event_id: eventId }, 'a person read the words of an event')
    return reply.type(json).send(values)
  })
  http.get(readReceipt.path, { onRequest, schema: { params: readReceipt.params } }, async ({ params }, reply) => {
    const receipt: object = JSON.parse((await evidence.get(`/v1/events/${params.eventId}`)).toString())
    // The key comes from this service: a receipt that brought its own key would prove nothing.
    return reply.type(json).send({ ...receipt, vkey: trust.log.vkey })
  })
}

/** An agent by its SPIFFE ID, the last part of that, or its name. Throws `request_malformed` if several are called so. */
function inFull(registry: RegistryState, query: Record<string, string>): Record<string, string> {
  const { agent } = query
  if (agent === undefined || agent.startsWith('spiffe://')) return query
  const wanted = agent.trim().toLowerCase()
  const isCalled = (name: string) => name.toLowerCase() === wanted
  const named = registry
    .all('agent')
    .filter(({ id, name }) => isCalled(name) || isCalled(id.slice(id.lastIndexOf('/') + 1)))
  if (named.length > 1)
    throw new ServiceError('request_malformed', `agent: several are called so: ${named.map(({ id }) => id).join(', ')}`)
  return { ...query, agent: named[0]?.id ?? agent }
}

function asked(query: Record<string, string>): string {
  const text = new URLSearchParams(query).toString()
  return text === '' ? '' : `?${text}`
}
