import { parseStrictJson } from '@bailiwick/contracts'
import { encodeBase64url, makeDpopProof, type SigningKey } from '@bailiwick/credentials'
import { type ErrorCode, errorCode, ServiceError } from '@bailiwick/errors'

export interface HttpOptions {
  key: SigningKey<'agent'>
  fetch: typeof fetch
  now: () => number
  random: (n: number) => Uint8Array
  timeoutMs: number
}

/** An answer from a Bailiwick service, read strictly; `body` is undefined if the answer had none. */
export interface ServiceAnswer {
  status: number
  body: unknown
  retryAfterMs: number
}

/** What the proof covers in addition to method and URI. */
export interface ProofOver {
  accessToken?: string
  actionDigest?: string
}

const timesAgain = 2
const longestAnswerBytes = 1_048_576
const nonceForm = /^[\x21\x23-\x5b\x5d-\x7e]{1,512}$/

/** Sends each request with its own DPoP proof, and keeps the newest nonce of each origin (RFC 9449 §8.2). */
export class Http {
  readonly #options: HttpOptions
  readonly #nonces = new Map<string, string>()

  constructor(options: HttpOptions) {
    this.#options = options
  }

  /** How long an answer may take, in ms. */
  get timeoutMs(): number {
    return this.#options.timeoutMs
  }

  /**
   * Sends a request that `build` makes with a new proof. If the answer asks for a new nonce, sends it again, at most twice (RFC 9449 §8,
   * §9), each time with its own proof: two instances behind one address may each require their own nonce. Redirects are not followed,
   * because they would carry the credential to an unintended place.
   */
  async send(
    url: URL,
    method: string,
    build: (proof: string) => RequestInit,
    over: ProofOver = {},
    asksForNonce: (response: Response) => Promise<boolean> | boolean = challengesForNonce,
    via: typeof fetch = this.#options.fetch,
  ): Promise<Response> {
    for (let left = timesAgain; ; left--) {
      const before = this.#nonces.get(url.origin)
      const response = await this.#sendOnce(url, method, build, over, via)
      if (left === 0 || !(await asksForNonce(response))) return response
      const nonce = this.#nonces.get(url.origin)
      if (nonce === undefined || nonce === before) return response
      await response.body?.cancel()
    }
  }

  async #sendOnce(
    url: URL,
    method: string,
    build: (proof: string) => RequestInit,
    over: ProofOver,
    via: typeof fetch,
  ): Promise<Response> {
    const { key, now, random } = this.#options
    const proof = makeDpopProof(
      {
        htm: method,
        htu: `${url.origin}${url.pathname}`,
        jti: encodeBase64url(random(16)),
        now: now(),
        nonce: this.#nonces.get(url.origin),
        ...over,
      },
      key,
    )
    const response = await via(url, { ...build(proof), method, redirect: 'manual' })
    const nonce = response.headers.get('dpop-nonce')
    if (nonce !== null && nonceForm.test(nonce)) this.#nonces.set(url.origin, nonce)
    return response
  }

  /** Calls a Bailiwick service. Throws `service_unreachable` if no answer arrived, `answer_malformed` if it is not JSON. */
  async ask(
    url: URL,
    method: 'GET' | 'POST',
    build: (proof: string) => RequestInit,
    asksForNonce: (answer: ServiceAnswer) => boolean = () => false,
  ): Promise<ServiceAnswer> {
    const signal = AbortSignal.timeout(this.#options.timeoutMs)
    let answer: ServiceAnswer | undefined
    try {
      // Read at once, because at the token endpoint the demand for a nonce is in the body (RFC 9449 §8).
      const read = async (response: Response): Promise<boolean> => {
        answer = await readAnswer(response)
        return challengesForNonce(response) || asksForNonce(answer)
      }
      const last = await this.send(url, method, (proof) => ({ ...build(proof), signal }), {}, read)
      return last.bodyUsed && answer ? answer : await readAnswer(last)
    } catch (error) {
      const code = errorCode(error)
      throw code === 'internal' ? new ServiceError('service_unreachable', undefined, { cause: error }) : error
    }
  }
}

/** RFC 9449 §9: the challenge of a resource server. */
function challengesForNonce(response: Response): boolean {
  const challenge = response.headers.get('www-authenticate') ?? ''
  return response.status === 401 && /\bDPoP\b.*\berror="?use_dpop_nonce\b/i.test(challenge)
}

async function readAnswer(response: Response): Promise<ServiceAnswer> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of response.body ?? []) {
    length += chunk.length
    if (length > longestAnswerBytes) throw new ServiceError('answer_malformed', 'too long')
    chunks.push(chunk)
  }
  const seconds = Number(response.headers.get('retry-after'))
  return {
    status: response.status,
    body: length === 0 ? undefined : parse(Buffer.concat(chunks), response.status),
    retryAfterMs: seconds > 0 && seconds <= 3600 ? seconds * 1000 : 0,
  }
}

/** A proxy's error body need not be JSON; a service's success body must be. */
function parse(bytes: Uint8Array, status: number): unknown {
  try {
    return parseStrictJson(bytes)
  } catch {
    if (status >= 400) return undefined
    throw new ServiceError('answer_malformed', 'not strict JSON')
  }
}

/** The meaning of a failure: the code of its problem document if we know it, otherwise a code that stands for its status. */
export function failure({ status, body }: ServiceAnswer): ServiceError {
  const code = errorCode(body)
  if (code !== 'internal') return new ServiceError(code)
  return new ServiceError(
    statusCodes[status] ?? (status >= 500 ? 'service_unready' : 'answer_malformed'),
    `status ${status}`,
  )
}

const statusCodes: Readonly<Record<number, ErrorCode>> = {
  400: 'request_malformed',
  401: 'caller_unauthenticated',
  403: 'caller_forbidden',
  404: 'access_request_unknown',
  413: 'body_too_large',
  429: 'rate_limited',
}
