import { channel } from 'node:diagnostics_channel'
import { isDeepStrictEqual } from 'node:util'
import { apis, oauthErrorSchema, problemSchema, type Route } from '@bailiwick/contracts/api'
import type { HttpServer } from '@bailiwick/host'
import type { z } from 'zod'

/** A server that was made in this process, with the routes that it has: `GET /healthz`. */
export interface WatchedServer {
  readonly routes: ReadonlySet<string>
}

/** What the servers of this process had and answered since the watch began. */
export interface ContractWatch {
  readonly servers: readonly WatchedServer[]
  /** The routes that gave a successful answer. */
  readonly answered: ReadonlySet<string>
  /** Answers that no contract of their route allows, since this was last called. They hold no values. */
  takeFaults(): string[]
}

const contracts = new Map<string, Route[]>()
for (const { routes } of Object.values(apis))
  for (const route of Object.values<Route>(routes)) {
    const name = nameOf(route.method, route.path)
    contracts.set(name, [...(contracts.get(name) ?? []), route])
  }

/** `GET /v1/trace/*` */
export function nameOf(method: string, path: string): string {
  return `${method} ${path}`
}

let watch: ContractWatch | undefined

/**
 * Compares every answer of every server that is made in this process from now on with the contracts of its route, by fastify's own
 * diagnostics channel: the services know nothing of it. A route of several services may answer as any of them. A server's route without a
 * contract is not judged here, since tests have servers of their own.
 */
export function watchContracts(): ContractWatch {
  if (watch !== undefined) return watch
  const servers: WatchedServer[] = []
  const answered = new Set<string>()
  const faults: string[] = []
  channel('fastify.initialization').subscribe((message) => {
    const { fastify } = message as { fastify: HttpServer }
    const routes = new Set<string>()
    servers.push({ routes })
    fastify.addHook('onRoute', ({ method, url }) => {
      for (const each of [method].flat()) if (each !== 'HEAD') routes.add(nameOf(each, url))
    })
    fastify.addHook('onSend', async (request, reply, payload) => {
      const name = nameOf(request.method, request.routeOptions.url ?? '')
      const candidates = contracts.get(name)
      if (candidates === undefined) return
      const { statusCode: status } = reply
      const answer: Answer = { status, type: String(reply.getHeader('content-type') ?? ''), payload }
      const why = candidates.map((route) => faultOf(route, answer))
      if (why.every((fault) => fault !== undefined)) faults.push(`${name} ${status}: ${why.join('; or ')}`)
      else if (status < 400) answered.add(name)
    })
  })
  watch = { servers, answered, takeFaults: () => faults.splice(0) }
  return watch
}

interface Answer {
  status: number
  type: string
  payload: unknown
}

/** What an answer has that its route's contract does not have, or lacks; undefined if it is as the contract says. */
export function faultOf(route: Route, { status, type, payload }: Answer): string | undefined {
  const { answer, statuses = [200], empty, gives = 'application/json', refusal } = route
  if (gives === '*/*') return undefined
  const isText = typeof payload === 'string' || payload instanceof Uint8Array
  const text = isText ? Buffer.from(payload as string).toString('utf8') : undefined
  if (status >= 400) {
    const wanted = refusal === 'oauth' ? 'application/json' : 'application/problem+json'
    if (mediaOf(type) !== wanted) return `its refusal is ${type}`
    return shapeFault(refusal === 'oauth' ? oauthErrorSchema : problemSchema, text)
  }
  if (payload === undefined || payload === null || text === '') return status === empty ? undefined : 'it has no body'
  if (!statuses.includes(status)) return 'its status'
  if (mediaOf(type) !== mediaOf(gives)) return `its media type is ${type}`
  return answer === undefined ? undefined : shapeFault(answer, text)
}

const mediaOf = (type: string): string | undefined => type.split(';')[0]?.trim().toLowerCase()

/** Clients ignore members that they do not know. A test must not: what a schema drops, the contract does not have. */
function shapeFault(schema: z.ZodType, text: string | undefined): string | undefined {
  const json: unknown = text === undefined ? undefined : JSON.parse(text)
  const read = schema.safeParse(json)
  if (!read.success) return read.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join(', ')
  return isDeepStrictEqual(read.data, json) ? undefined : `members without a contract: ${dropped(json, read.data, '')}`
}

function dropped(json: unknown, kept: unknown, at: string): string {
  if (typeof json !== 'object' || json === null || typeof kept !== 'object' || kept === null) return at
  return Object.entries(json)
    .filter(([name, value]) => !isDeepStrictEqual(value, (kept as Record<string, unknown>)[name]))
    .map(([name, value]) =>
      name in kept ? dropped(value, (kept as Record<string, unknown>)[name], `${at}/${name}`) : `${at}/${name}`,
    )
    .join(', ')
}
