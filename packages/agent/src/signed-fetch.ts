import { actionDigest, encodeBase64url } from '@bailiwick/credentials'
import { errorCode, ServiceError } from '@bailiwick/errors'
import type { Credentials, GrantName } from './credentials.ts'
import type { Http } from './http.ts'
import { pause } from './pause.ts'
import { nextCall, refusedOf } from './repeat.ts'

export interface SignedCall {
  url: URL
  /** Like `fetch`'s, but with a body that can be sent twice. If left out, the body is `call.properties` as JSON. */
  init: Omit<RequestInit, 'body' | 'redirect'> & { body?: string | Uint8Array<ArrayBuffer> }
  call: {
    /** The grant for the call. Without one, only the question is presented: the denial then says where to ask. */
    grant?: GrantName
    /**
     * The action's name, such as `tools/call`, and what it acts on. Without both, the proof is for the address alone: for a request that
     * is not an action, such as a list.
     */
    action?: string
    resource?: { type: string; id: string }
    /** The arguments, exactly those that the API will read from this request. */
    properties?: Readonly<Record<string, unknown>>
    /** Identifies the call: repeated under the same id, it is the same call and takes effect at most once. Default: a new id. */
    callId?: string
    /**
     * How long the call may be repeated, in ms; default: as long as an answer of Bailiwick's services may take. 0: the call is made once.
     * It is repeated if its answer was lost, and after `uses_reserved` and `budget_reserved`.
     */
    patienceMs?: number
    /** Takes the signed requests in place of the agent's `fetch`: an enforcement point in this process. */
    via?: typeof fetch
  }
}

interface SignedFetchOptions {
  http: Http
  credential: Credentials
  now: () => number
  random: (n: number) => Uint8Array
}

/** Pauses before repeating a call whose answer was lost. */
const lostPausesMs = [200, 1000]

/**
 * RFC 9449 §7 with our digest: sends the credential, a proof over it, this URI and this exact action, and the call's id. The call may be
 * repeated within its time, each time with a new proof, and takes effect at most once.
 */
export async function signedFetch(options: SignedFetchOptions, { url, init, call }: SignedCall): Promise<Response> {
  const { http, credential, random } = options
  const { grant, action, resource, properties = {} } = call
  const digest = digestOf(action, properties, resource)
  const held = grant && (await credential.get(grant))
  const method = (
    init.method ?? (init.body === undefined && call.properties === undefined ? 'GET' : 'POST')
  ).toUpperCase()
  const isBare = digest === undefined || method === 'GET' || method === 'HEAD'
  const body = init.body ?? (isBare ? undefined : JSON.stringify(properties))
  let callId = call.callId ?? encodeBase64url(random(16))
  const build = (proof: string): RequestInit => {
    const headers = new Headers(init.headers)
    if (body !== undefined && init.body === undefined) headers.set('content-type', 'application/json')
    if (held) headers.set('authorization', `DPoP ${held.token}`)
    if (held) headers.set('dpop', proof)
    headers.set('bailiwick-call-id', callId)
    return { ...init, headers, ...(body === undefined ? {} : { body }) }
  }
  const signed = digest === undefined ? {} : { actionDigest: digest }
  const over = held ? { accessToken: held.token, ...signed } : {}
  const patienceMs = call.patienceMs ?? http.timeoutMs
  const deadline = AbortSignal.timeout(patienceMs)
  /** Whether there is time to repeat the call after `ms`. Rejects with the caller's own reason. */
  const hasTime = async (ms: number): Promise<boolean> => {
    if (ms >= patienceMs || deadline.aborted) return false
    await pause(ms, AbortSignal.any([deadline, ...(init.signal ? [init.signal] : [])])).catch(() => undefined)
    init.signal?.throwIfAborted()
    return !deadline.aborted
  }
  let lost: ServiceError | undefined
  for (let losses = 0; ; ) {
    const response = await http.send(url, method, build, over, undefined, call.via).catch((error: unknown) => {
      init.signal?.throwIfAborted()
      return lostOf(error)
    })
    if (response instanceof ServiceError) {
      lost = response
      const pauseMs = lostPausesMs[losses++]
      if (pauseMs === undefined || !(await hasTime(pauseMs))) throw lost
      continue
    }
    if (grant && held && refusesToken(response)) credential.forget(grant, held)
    const isOurId = call.callId === undefined
    const next = nextCall(await refusedOf(response), { wasLost: lost !== undefined, isOurId })
    if (next === 'outcome_unknown') throw lost
    if (next === undefined || !(await hasTime(next.afterMs))) return response
    await response.body?.cancel()
    if (next.newId) callId = encodeBase64url(random(16))
  }
}

/** No answer arrived, so the call may have taken effect. Rethrows every error that the network did not cause. */
function lostOf(error: unknown): ServiceError {
  if (errorCode(error) !== 'internal') throw error
  return new ServiceError('outcome_unknown', undefined, { cause: error })
}

function digestOf(
  name: string | undefined,
  properties: Readonly<Record<string, unknown>>,
  resource: { type: string; id: string } | undefined,
): string | undefined {
  if (name === undefined && resource === undefined) return undefined
  if (name === undefined || resource === undefined)
    throw new ServiceError('request_malformed', 'an action needs a name and a resource')
  try {
    return actionDigest({ name, properties, resource })
  } catch (error) {
    throw new ServiceError('request_malformed', 'the arguments have no canonical form', { cause: error })
  }
}

function refusesToken({ status, headers }: Response): boolean {
  return status === 401 && /\berror="?invalid_token\b/i.test(headers.get('www-authenticate') ?? '')
}
