import { consoleRoutes } from '@bailiwick/contracts/api'
import type { Trust } from '@bailiwick/credentials'
import type { HttpServer } from '@bailiwick/host'
import type { FastifyRequest } from 'fastify'
import type { EvidenceReader } from '../console/evidence-reader.ts'
import type { Sessions } from '../people/sessions.ts'
import { notFromElsewhere, sessionCookie } from './browser.ts'

const { searchEvidence, countActivity, traceEvidence, readReceipt } = consoleRoutes

/**
 * `GET /console/api/evidence/…`: evidence's data, for signed-in people. Evidence does not know these people: it answers this
 * service, and only on these paths.
 */
export function evidenceRoutes(
  http: HttpServer,
  { evidence, sessions, trust }: { evidence: EvidenceReader; sessions: Sessions; trust: Trust },
): void {
  const signedIn = async (request: FastifyRequest) => void sessions.find(sessionCookie(request))
  const onRequest = [notFromElsewhere(trust.origins), signedIn]
  const json = 'application/json; charset=utf-8'
  for (const { name, path, query: querystring } of [
    { name: 'events', ...searchEvidence },
    { name: 'activity', ...countActivity },
  ])
    http.get(path, { onRequest, schema: { querystring } }, async ({ query }, reply) =>
      reply.type(json).send(await evidence.get(`/v1/${name}${asked(query)}`)),
    )
  http.get(
    traceEvidence.path,
    { onRequest, schema: { params: traceEvidence.params, querystring: traceEvidence.query } },
    async ({ params, query }, reply) =>
      reply.type(json).send(await evidence.get(`/v1/trace/${encodeURIComponent(params['*'])}${asked(query)}`)),
  )
  http.get(readReceipt.path, { onRequest, schema: { params: readReceipt.params } }, async ({ params }, reply) => {
    const receipt: object = JSON.parse((await evidence.get(`/v1/events/${params.eventId}`)).toString())
    // The key comes from this service: a receipt that brought its own key would prove nothing.
    return reply.type(json).send({ ...receipt, vkey: trust.log.vkey })
  })
}

function asked(query: Record<string, string>): string {
  const text = new URLSearchParams(query).toString()
  return text === '' ? '' : `?${text}`
}
