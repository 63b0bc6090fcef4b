import { evidenceRoutes } from '@bailiwick/contracts/api'
import type { HttpServer } from '@bailiwick/host'
import { Rereads } from '../reread/reread-aside.ts'

const { replayDecisions, makeReport } = evidenceRoutes

/** A policy set in JSON, and the entities that would be others. */
const replayBytes = 2 * 1024 * 1024
/** The log may be long, and another person may wait before this one. */
const handlerMs = 150_000

/**
 * `POST /v1/replay`, `GET /v1/report`: the whole log read again. Only on the operator's socket: it costs too much for strangers, and the
 * policies that it asks come from people.
 */
export function rereadRoutes(operator: HttpServer, data: string, activeSet: () => string | undefined): void {
  const rereads = new Rereads()
  operator.post(
    replayDecisions.path,
    { config: { handlerMs }, bodyLimit: replayBytes, schema: { body: replayDecisions.body } },
    async ({ body: { from, to, files, others } }) => {
      const encoded =
        files && new Map(Object.entries(files).map(([name, text]) => [name, new TextEncoder().encode(text)]))
      const changed = others.map(({ type, id, value }) => ({ type, id, value: value ?? undefined }))
      const [since, until] = [Date.parse(from), Date.parse(to)]
      const task = { from: since, to: until, files: encoded, policySet: activeSet(), others: changed }
      return rereads.run({ do: 'replay', data, ...task })
    },
  )
  operator.get(
    makeReport.path,
    { config: { handlerMs }, schema: { querystring: makeReport.query } },
    async ({ query: { from, to } }) => rereads.run({ do: 'report', data, from: Date.parse(from), to: Date.parse(to) }),
  )
}
