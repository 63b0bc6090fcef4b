import type { Trust } from '@bailiwick/credentials'
import type { HttpServer } from '@bailiwick/host'
import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { EvidenceReader } from '../console/evidence-reader.ts'
import type { Sessions } from '../people/sessions.ts'
import { notFromElsewhere, sessionCookie } from './browser.ts'

const idSchema = z.strictObject({ '*': z.string().min(1).max(2100) })
const eventIdSchema = z.strictObject({ eventId: z.string().regex(/^[0-9A-Za-z_-]{8,128}$/, 'not an event id') })
/** Each filter once. Evidence judges their values. */
const filtersSchema = z.record(z.string().regex(/^[a-z]{1,16}$/), z.string().max(2100))

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
  for (const name of ['events', 'activity'])
    http.get(
      `/console/api/evidence/${name}`,
      { onRequest, schema: { querystring: filtersSchema } },
      async ({ query }, reply) => reply.type(json).send(await evidence.get(`/v1/${name}${asked(query)}`)),
    )
  http.get(
    '/console/api/evidence/trace/*',
    { onRequest, schema: { params: idSchema, querystring: filtersSchema } },
    async ({ params, query }, reply) =>
      reply.type(json).send(await evidence.get(`/v1/trace/${encodeURIComponent(params['*'])}${asked(query)}`)),
  )
  http.get(
    '/console/api/evidence/events/:eventId',
    { onRequest, schema: { params: eventIdSchema } },
    async ({ params }, reply) => {
      const receipt: object = JSON.parse((await evidence.get(`/v1/events/${params.eventId}`)).toString())
      // The key comes from this service: a receipt that brought its own key would prove nothing.
      return reply.type(json).send({ ...receipt, vkey: trust.log.vkey })
    },
  )
}

function asked(query: Record<string, string>): string {
  const text = new URLSearchParams(query).toString()
  return text === '' ? '' : `?${text}`
}
