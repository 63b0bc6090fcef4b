import { actionDigest, encodeBase64url } from '@bailiwick/credentials'
import { errorCode, ServiceError } from '@bailiwick/errors'
import type { Credentials, GrantName } from './credentials.ts'
import type { Http } from './http.ts'

export interface SignedCall {
  url: URL
  /** As for `fetch`, but with a body that can be sent twice. Left out, the body is `call.properties` as JSON. */
  init: Omit<RequestInit, 'body' | 'redirect'> & { body?: string | Uint8Array<ArrayBuffer> }
  call: {
    /** Under which grant. Without one, nothing is presented but the question: the denial then says where to ask. */
    grant?: GrantName
    /** The action's name, such as `tools/call`. */
    action: string
    resource: { type: string; id: string }
    /** The arguments, exactly those that the API will read from this request. */
    properties?: Readonly<Record<string, unknown>>
    /** Names the call: repeated, it is the same call and takes effect at most once. A new one unless told. */
    callId?: string
  }
}

interface SignedFetchOptions {
  http: Http
  credential: Credentials
  now: () => number
  random: (n: number) => Uint8Array
}

/** RFC 9449 §7 with our digest: the credential, a proof over it, this URI and this exact action, and the call's id. */
export async function signedFetch(options: SignedFetchOptions, { url, init, call }: SignedCall): Promise<Response> {
  const { http, credential, random } = options
  const { grant, action, resource, properties = {} } = call
  const digest = digestOf(action, properties, resource)
  const held = grant && (await credential.get(grant))
  const method = (
    init.method ?? (init.body === undefined && call.properties === undefined ? 'GET' : 'POST')
  ).toUpperCase()
  const body = init.body ?? (method === 'GET' || method === 'HEAD' ? undefined : JSON.stringify(properties))
  const callId = call.callId ?? encodeBase64url(random(16))
  const build = (proof: string): RequestInit => {
    const headers = new Headers(init.headers)
    if (body !== undefined && init.body === undefined) headers.set('content-type', 'application/json')
    if (held) headers.set('authorization', `DPoP ${held.token}`)
    if (held) headers.set('dpop', proof)
    headers.set('bailiwick-call-id', callId)
    return { ...init, headers, ...(body === undefined ? {} : { body }) }
  }
  const over = held ? { accessToken: held.token, actionDigest: digest } : {}
  const response = await http.send(url, method, build, over).catch((error: unknown) => {
    init.signal?.throwIfAborted()
    throw errorCode(error) === 'internal' ? new ServiceError('outcome_unknown', undefined, { cause: error }) : error
  })
  if (grant && held && refusesToken(response)) credential.forget(grant, held)
  return response
}

function digestOf(
  name: string,
  properties: Readonly<Record<string, unknown>>,
  resource: { type: string; id: string },
): string {
  try {
    return actionDigest({ name, properties, resource })
  } catch (error) {
    throw new ServiceError('request_malformed', 'the arguments have no canonical form', { cause: error })
  }
}

function refusesToken({ status, headers }: Response): boolean {
  return status === 401 && /\berror="?invalid_token\b/i.test(headers.get('www-authenticate') ?? '')
}
