import type { ServiceName } from '@bailiwick/contracts'
import { ServiceError, toProblem } from '@bailiwick/errors'
import { systemClock } from '@bailiwick/kit'
import proxy from '@fastify/http-proxy'
import fastify from 'fastify'

/** The owner of each path (DESIGN §8); the first match counts. Every other path is the console's. */
const owners: readonly [path: RegExp, service: ServiceName][] = [
  [/^\/(oauth\/|\.well-known\/oauth-authorization-server)/, 'issuer'],
  [
    /^\/(access\/v1\/(evaluation|search|jwks|openapi\.json)|v1\/(outcomes|open-calls)|\.well-known\/authzen-configuration)/,
    'policy-decision',
  ],
  [/^\/(log\/|v1\/(trace|bundle)\/|v1\/(events|activity)\b)/, 'evidence'],
  [/^\//, 'approval'],
]

const askEveryMs = 100
/** An instance that does not answer by then does not serve. */
const answersWithinMs = 2000

/** A front for the services, so that they have one public address (docs/decisions/0009). */
export interface Front extends AsyncDisposable {
  /** Resolves when every service has an instance that is ready. */
  ready(ms: number): Promise<void>
}

/**
 * Passes each request to an instance of the service that owns the path, in turn among the instances that report ready;
 * a standby never does. Speaks plain HTTP on loopback.
 */
export async function openFront(
  port: number,
  instances: Readonly<Record<ServiceName, readonly string[]>>,
): Promise<Front> {
  const serving = new Map<string, boolean>()
  const turns = new Map<ServiceName, number>()
  const asking = new Set<string>()
  // One question at a time: on a busy machine, more of them would cost an instance more than its work.
  const ask = async (url: string) => {
    if (asking.has(url)) return
    asking.add(url)
    const signal = AbortSignal.timeout(answersWithinMs)
    const answer = await fetch(`${url}/readyz`, { signal }).catch(() => undefined)
    await answer?.arrayBuffer().catch(() => undefined)
    serving.set(url, answer?.status === 200)
    asking.delete(url)
  }
  const all = Object.values(instances).flat()
  const timer = setInterval(() => all.forEach((url) => void ask(url)), askEveryMs)
  const readyOf = (service: ServiceName) => instances[service].filter((url) => serving.get(url) === true)
  const pick = (path: string): string => {
    const service = owners.find(([mine]) => mine.test(path))?.[1] ?? 'approval'
    const ready = readyOf(service)
    const turn = (turns.get(service) ?? 0) + 1
    turns.set(service, turn)
    return ready[turn % ready.length] ?? instances[service][0] ?? ''
  }
  const server = fastify({ forceCloseConnections: true })
  await server.register(proxy, {
    upstream: '',
    // A request is sent once: its sender must find out whether it happened.
    replyOptions: {
      getUpstream: ({ url }) => pick(url ?? '/'),
      // An instance that died during the request, or was not there at all, said nothing about it.
      onError: (reply, { error }) => {
        const problem = toProblem(new ServiceError('outcome_unknown', error.message))
        reply.code(problem.status).send(problem)
      },
    },
    retryMethods: [],
  })
  await server.listen({ host: 'localhost', port })
  return {
    async ready(ms) {
      const services = Object.keys(instances) as ServiceName[]
      const missing = () => services.filter((service) => readyOf(service).length === 0)
      for (const deadline = systemClock.monotonic() + ms; missing().length > 0; ) {
        if (systemClock.monotonic() > deadline) throw new Error(`not ready within ${ms} ms: ${missing().join(', ')}`)
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      await server.close()
    },
  }
}
