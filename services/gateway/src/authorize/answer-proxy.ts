import { errorKinds, ServiceError, toProblem } from '@bailiwick/errors'
import { headersOfRefusal, problemOfRefusal } from '@bailiwick/pep'
import type { RawHeaders, Refused } from '@bailiwick/relay'
import { type Asking, proxyField } from './asked-about.ts'
import type { Authorized, Authorizer } from './authorizer.ts'
import type { Authorizers } from './authorizers.ts'

/** The field with the decision's id, which the proxy adds to the request that it sends on. */
export const decisionField = 'bailiwick-decision-id'

/** The answer to a proxy, over HTTP or gRPC. */
export type ProxyAnswer =
  | {
      readonly allowed: true
      readonly decisionId: string
      /** The fields that Envoy must take out: all that were no part of the decision, above all the agent's credential. */
      readonly removed: readonly string[]
      /** What Envoy's log must contain for this request. */
      readonly logMark: string | undefined
    }
  | {
      readonly allowed: false
      /** 401 or 403 is a decision: nginx knows no other status, and Envoy can be set up to let a request pass upon 5xx. */
      readonly status: 401 | 403 | 429
      readonly fields: Readonly<Record<string, string>>
      readonly body: string
    }

/** Who asks, by what comes before the question. */
export interface Asker {
  /** Of the entry in gateway.yaml. */
  readonly name: string
  readonly proxy: Authorizer['entry']['proxy']
  /** The fields of the question itself, among them the proxy's secret. */
  readonly rawHeaders: RawHeaders
}

/** The entry whose proxy asks. Throws `route_unknown` or `proxy_unauthenticated`: any other caller learns nothing. */
export async function provedProxy(
  authorizers: Pick<Authorizers, 'get'>,
  { name, proxy, rawHeaders }: Asker,
): Promise<Authorizer> {
  const authorizer = authorizers.get(name)
  if (authorizer?.entry.proxy !== proxy) throw new ServiceError('route_unknown')
  if (!(await authorizer.isProxy({ rawHeaders }))) throw new ServiceError('proxy_unauthenticated')
  return authorizer
}

/** Decides for the proxy. `read` gives the request that it asks about, and is called once the proxy has proved itself. */
export async function answerProxy(
  authorizers: Pick<Authorizers, 'get'>,
  asker: Asker,
  read: () => Asking | Refused | Promise<Asking | Refused>,
): Promise<ProxyAnswer> {
  try {
    const authorizer = await provedProxy(authorizers, asker)
    const asking = await read()
    const decided = 'refused' in asking ? asking : await authorizer.decide(asking)
    if ('refused' in decided) throw new ServiceError(decided.refused, decided.detail)
    if (!decided.allowed) {
      const problem = problemOfRefusal(decided)
      return denial(decided.reason, problem.status === 401 ? 401 : 403, problem, headersOfRefusal(decided))
    }
    const { decisionId, logMark } = decided
    return { allowed: true, decisionId, logMark, removed: removedBy(decided, asking as Asking) }
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error
    return denial(error.code, 403, toProblem(error), errorKinds[error.code].retryable ? { 'retry-after': '1' } : {})
  }
}

export const denial = (
  code: string,
  status: 401 | 403 | 429,
  problem: object,
  fields: Readonly<Record<string, string>>,
): ProxyAnswer => ({
  allowed: false,
  status,
  fields: {
    ...fields,
    'cache-control': 'no-store',
    'bailiwick-denied': code,
    'content-type': 'application/problem+json',
  },
  body: JSON.stringify({ ...problem, status }),
})

/** Fields that Envoy needs to send the request on at all. */
const framing: ReadonlySet<string> = new Set(['host', 'content-length', 'transfer-encoding', 'connection', 'te'])
/**
 * Also if Envoy did not show them, because its `allowed_headers` names others: what the agent proves, what makes a request one of a proxy,
 * what the gate refuses because an API takes it for another request, and what has Envoy send a request several times.
 */
const never = [
  ...['authorization', 'dpop', 'bailiwick-call-id', 'cookie', 'forwarded', 'proxy-authorization', proxyField],
  ...['x-http-method', 'x-http-method-override', 'x-method-override', 'x-original-method'],
  ...['x-original-uri', 'x-original-url', 'x-rewrite-url', 'range', 'if-range', 'content-encoding'],
  ...['x-envoy-retry-on', 'x-envoy-retry-grpc-on', 'x-envoy-max-retries', 'x-envoy-retriable-status-codes'],
  ...['x-envoy-retriable-header-names', 'x-envoy-hedge-on-per-try-timeout', 'x-envoy-upstream-rq-timeout-ms'],
  ...['x-envoy-upstream-rq-per-try-timeout-ms', 'x-envoy-upstream-alt-stat-name', 'x-envoy-auth-partial-body'],
]

/** Never removes the field that the gateway adds: Envoy removes fields after it adds them. */
function removedBy({ fields }: Authorized, { rawHeaders }: Asking): string[] {
  const names = rawHeaders.filter((_, at) => at % 2 === 0).map((name) => name.toLowerCase())
  const isKept = (name: string) => framing.has(name) || fields.has(name) || name === decisionField
  return [...new Set([...never, ...names.filter((name) => !isKept(name))])]
}
