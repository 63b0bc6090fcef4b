import { existsSync } from 'node:fs'
import {
  authZenEndpoints,
  authZenRoutes,
  obligationsGiven,
  PageTokens,
  sendJson,
  watchEngines,
} from '@bailiwick/authzen'
import { ServiceError } from '@bailiwick/errors'
import {
  type HttpServer,
  isLocal,
  isLoopback,
  type Logger,
  type Metrics,
  openServers,
  publicUrlOf,
} from '@bailiwick/host'
import { paths } from '@bailiwick/installation'
import type { Clock, RandomSource } from '@bailiwick/kit'
import { ActivePlainPolicies } from './active-plain-policies.ts'
import { readCallerToken } from './caller-token.ts'
import type { PlainConfig } from './config.ts'
import { plainDecider } from './plain-decider.ts'

export interface PlainAdapters {
  logger: Logger
  clock: Clock
  random: RandomSource
  metrics: Metrics
}

export interface Plain extends AsyncDisposable {
  /** The address that it listens on. */
  url: string
  policies: ActivePlainPolicies
}

/**
 * A plain AuthZEN decision point. It has only a policy directory: no bus, no grants, no evidence, and the same request gives the same
 * answer. Throws `config_invalid` for a directory that does not load.
 */
export async function startPlain(config: PlainConfig, adapters: PlainAdapters): Promise<Plain> {
  const { BAILIWICK_HOST: host, BAILIWICK_PORT: port, BAILIWICK_DATA: data } = config
  const { logger, random, clock } = adapters
  await using started = new AsyncDisposableStack()
  const servers = started.use(await openServers({ config, ...adapters, bigIntegers: true }))
  const { http, operator } = servers
  const token = config.BAILIWICK_CALLER_TOKEN_FILE && readCallerToken(config.BAILIWICK_CALLER_TOKEN_FILE)
  const local = isLoopback(host) && config.BAILIWICK_TLS !== 'terminated'
  if (!local && !token)
    throw new ServiceError(
      'config_invalid',
      'BAILIWICK_CALLER_TOKEN_FILE: callers from other machines need a token: name a file that holds it',
    )
  const policies = new ActivePlainPolicies(
    config.BAILIWICK_POLICIES,
    Buffer.from(random(12)).toString('base64url'),
    {
      permitsNothing: config.BAILIWICK_PERMITS_NOTHING,
    },
    watchEngines({ metrics: adapters.metrics, logger, random, compareOneIn: config.BAILIWICK_COMPARE_ONE_IN }),
  )
  let publicUrl = publicUrlOf(config)
  // A fixed key is enough: a token holds only the position to go on from, and a random key would give the same request another body.
  const pageTokens = new PageTokens({ key: Buffer.alloc(32), now: clock.now })
  const decider = plainDecider(policies, token || undefined, clock)
  authZenRoutes(http, decider, { publicUrl, pageTokens, clock, open: !token })
  http.get('/.well-known/authzen-configuration', async ({ headers }, reply) => {
    reply.header('cache-control', 'public, max-age=300')
    const given = obligationsGiven(['notification', 'custom'])
    const unnamed = config.BAILIWICK_PUBLIC_URL === undefined && local
    const identifier = (unnamed && loopbackOrigin(headers.host, publicUrl)) || publicUrl
    return sendJson(reply, { policy_decision_point: identifier, ...authZenEndpoints(identifier), ...given })
  })
  reloadRoute(operator, policies, logger)
  if (local) reloadRoute(http, policies, logger)
  const url = await servers.listen((address) =>
    existsSync(data) ? paths(data).serviceSocket('plain', Number(new URL(address).port)) : undefined,
  )
  if (port === 0 && config.BAILIWICK_PUBLIC_URL === undefined) publicUrl = url
  const open = started.move()
  return { url, policies, [Symbol.asyncDispose]: () => open.disposeAsync() }
}

/** §9.2.3: metadata that names another address than the one it was fetched from MUST NOT be used. This machine has several names. */
function loopbackOrigin(host: string | undefined, publicUrl: string): string | undefined {
  const { protocol } = new URL(publicUrl)
  const asked = host && URL.canParse(`${protocol}//${host}`) ? new URL(`${protocol}//${host}`) : undefined
  if (asked?.host !== host?.toLowerCase()) return undefined
  return asked && isLoopback(asked.hostname.replace(/^\[(.*)\]$/, '$1')) ? asked.origin : undefined
}

/** Reading a large directory may take this long. A request during a reload is answered by the next one. */
const reloadMs = 300_000

/**
 * `POST /admin/reload`: reads the directory again. 200: the new set is active for all later requests. 422: it was refused, and the whole
 * previous set stays. Served on the operator's socket, and on a listener that only this machine reaches.
 */
function reloadRoute(server: HttpServer, policies: ActivePlainPolicies, logger: Logger): void {
  // The body and its content type are ignored: curl calls an empty body a form, and others call it JSON.
  server.post('/admin/reload', { config: { accepts: 'anything', handlerMs: reloadMs } }, async (request) => {
    // A browser page on this machine is not its operator, and neither is the client of a proxy. Browsers always send the origin of a POST.
    if (request.headers.origin !== undefined || !isLocal(request)) throw new ServiceError('caller_forbidden')
    try {
      const policy_set = await policies.reload()
      logger.info({ policy_set }, 'the policy directory was loaded again')
      return { policy_set }
    } catch (cause) {
      const detail = cause instanceof ServiceError ? cause.detail : undefined
      logger.warn({ err: cause }, 'the policy directory was refused; the set before stays active')
      throw new ServiceError('policies_invalid', detail, { cause })
    }
  })
}
