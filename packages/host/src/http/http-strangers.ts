import { setTimeout as pause } from 'node:timers/promises'
import { ServiceError, toProblem } from '@bailiwick/errors'
import { type Clock, RateLimiter } from '@bailiwick/kit'
import type { Metrics } from '../observe/metrics.ts'
import { networkOf } from './http-caller.ts'
import type { HttpReply, HttpRequest, HttpServer } from './http-server.ts'

/** For one kind of route: a bucket of requests for each network. */
export interface StrangerRate {
  /** Routes of the same name share their buckets. */
  name: string
  perSecond: number
  burst: number
  /** The limit for all networks together. */
  together?: { perSecond: number; burst: number }
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The rate of strangers on this route. Default: the server's rate. */
    strangers?: StrangerRate
  }
  interface FastifyRequest {
    /** Call this as soon as the caller is proved: requests of a verified caller are not charged to its network. */
    callerVerified(): void
  }
}

export interface StrangerLimits {
  /** Requests without a verified caller, per second and network; ten times that at once. */
  perSecond: number
  /** How long a refusal is held back. This slows down a client that sends its next request only after the response to this one. */
  holdMs: number
}

export const strangerLimits: StrangerLimits = { perSecond: 100, holdMs: 1000 }

const maxNetworks = 10_000
/** The most refusals held back at once. A further one is sent at once. */
const mostHeld = 2048

/** What a network was charged for a request, until its caller is known. `retryAfterSeconds`: the network had no token left. */
type Charge = { rate: StrangerRate; network: string; retryAfterSeconds?: number }

/**
 * Charges each request to the network that it comes from (an IPv4 address, or an IPv6 /64), and refunds it once the route has verified the
 * caller (V18, decision 43). A network without tokens is refused: before the route runs if the request carries nothing that could identify
 * its caller, otherwise after the route's own check. So callers that share an address with a flood are still verified and never wait for
 * its bucket. Such a request costs at most a signature check, and one without a valid signature gets 429 a second later.
 */
export function boundStrangers(
  app: HttpServer,
  { clock, metrics, limits }: { clock: Clock; metrics: Metrics; limits: StrangerLimits },
): void {
  const { perSecond, holdMs } = limits
  const usual: StrangerRate = { name: 'any', perSecond, burst: 10 * perSecond }
  // Liveness checks are answered even if the network has used up its other requests.
  const health: StrangerRate = { ...usual, name: 'health' }
  const buckets = new StrangerBuckets(clock)
  const charges = new WeakMap<HttpRequest, Charge>()
  const holding = new WeakSet<object>()
  let held = 0
  const refused = metrics.counter(
    'http_strangers_refused_total',
    'Requests without a verified caller, beyond their rate',
  )
  refused.inc(0)

  app.decorateRequest('callerVerified', function callerVerified(this: HttpRequest): void {
    const charge = charges.get(this)
    if (charge === undefined) return
    charges.delete(this)
    if (charge.retryAfterSeconds === undefined) buckets.give(charge.rate, charge.network)
  })

  /** A second request on a connection whose response is held back comes from a client that does not wait for responses. */
  const hold = async ({ raw: { socket } }: HttpRequest): Promise<void> => {
    refused.inc()
    if (holding.has(socket)) return void socket.destroy()
    if (held >= mostHeld || holdMs === 0) return
    held++
    holding.add(socket)
    await pause(holdMs)
    holding.delete(socket)
    held--
  }

  app.addHook('onRequest', async (request) => {
    const { caller } = request
    if (caller === '') return // the operator's socket
    const { strangers, ungated } = request.routeOptions.config
    const charge: Charge = { rate: strangers ?? (ungated === true ? health : usual), network: networkOf(caller) }
    const rated = buckets.take(charge.rate, charge.network)
    if (!rated.ok) charge.retryAfterSeconds = rated.retryAfterSeconds
    charges.set(request, charge)
    if (rated.ok || saysWho(request)) return
    charges.delete(request)
    await hold(request)
    throw tooMany(rated.retryAfterSeconds)
  })

  app.addHook('onSend', async (request, reply, payload) => {
    const retryAfterSeconds = charges.get(request)?.retryAfterSeconds
    if (retryAfterSeconds === undefined) return payload
    charges.delete(request)
    await hold(request)
    return refuse(reply, payload, retryAfterSeconds)
  })
}

/** A server's buckets, by kind of route and network. */
export class StrangerBuckets {
  readonly #clock: Clock
  readonly #kinds = new Map<string, { each: RateLimiter; together: RateLimiter | undefined }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  take(rate: StrangerRate, network: string): ReturnType<RateLimiter['take']> {
    const { each, together } = this.#of(rate)
    const own = each.take(network)
    return own.ok && together !== undefined ? together.take('') : own
  }

  /** Refunds what `take` took. */
  give(rate: StrangerRate, network: string): void {
    const { each, together } = this.#of(rate)
    each.give(network)
    together?.give('')
  }

  #of(rate: StrangerRate): { each: RateLimiter; together: RateLimiter | undefined } {
    const known = this.#kinds.get(rate.name)
    if (known) return known
    const { perSecond, burst, together } = rate
    const kind = {
      each: new RateLimiter({ perSecond, burst, maxKeys: maxNetworks, clock: this.#clock }),
      together: together && new RateLimiter({ ...together, maxKeys: 1, clock: this.#clock }),
    }
    this.#kinds.set(rate.name, kind)
    return kind
  }
}

/** Whether the request carries anything that could identify its caller: in its head, or in a body that a route reads. */
function saysWho({ method, headers }: HttpRequest): boolean {
  const { authorization, dpop, cookie, 'content-length': length, 'transfer-encoding': encoding } = headers
  const hasBody = method !== 'GET' && method !== 'HEAD' && (encoding !== undefined || (length ?? '0') !== '0')
  return authorization !== undefined || dpop !== undefined || cookie !== undefined || hasBody
}

const tooMany = (retryAfterSeconds: number) =>
  new ServiceError('rate_limited', 'too many requests from this network say not who asks', { retryAfterSeconds })

/** Replaces the response that the route would have given a stranger. */
function refuse(reply: HttpReply, payload: unknown, retryAfterSeconds: number): Buffer {
  if (payload instanceof Object && 'destroy' in payload && typeof payload.destroy === 'function') payload.destroy()
  for (const name of ['www-authenticate', 'content-encoding', 'content-length', 'set-cookie', 'etag'])
    reply.removeHeader(name)
  reply.code(429).type('application/problem+json')
  reply.headers({ 'retry-after': String(retryAfterSeconds), 'cache-control': 'no-store' })
  return Buffer.from(JSON.stringify(toProblem(tooMany(retryAfterSeconds))))
}
