import { parseStrictJson } from '@bailiwick/contracts'
import { type SigningKey, signCallerAssertion } from '@bailiwick/credentials'
import { errorCode, ServiceError } from '@bailiwick/errors'
import { abortedAfter, after } from '@bailiwick/kit'
import { type PointFetch, readBounded } from './point-fetch.ts'
import { encodeRandom } from './random-text.ts'

export interface PdpClientOptions {
  /** The enforcement point's id in the registry. */
  id: string
  /** This start of the enforcement point, stated in each assertion. */
  instance: string
  callerKey: SigningKey<'pep-caller'>
  /** The PDP's public URL, without a slash at the end: the audience of assertions and the issuer of permits. */
  pdpUrl: string
  fetch: PointFetch
  /** ms since the epoch */
  now: () => number
  random: (n: number) => Uint8Array
  /** How long one answer may take, in ms. */
  timeoutMs: number
  onProblem: (problem: ServiceError) => void
}

/** Pauses before the PDP is asked again about a call whose answer was lost. */
const againAfterMs = [50, 250]
const assertionSeconds = 60
/** For how long the PDP's word that it does not know this enforcement point is believed. */
const unknownForMs = 5000
/** An assertion is reused while it has at least this long to live, so that the PDP verifies one instead of hundreds. */
const assertionMarginMs = 15_000

/** An answer of the PDP, read strictly; `body` is undefined if there was none. */
export interface PdpAnswer {
  status: number
  body: unknown
  /** The PDP's `Retry-After`, in seconds (RFC 9110 §10.2.3, as a number); undefined when it sent none. */
  retryAfterSeconds?: number | undefined
}

/** Speaks to the PDP as this enforcement point: every wait is bounded, redirects are not followed, and large answers are not read. */
export class PdpClient {
  readonly #options: PdpClientOptions
  #assertion = { text: '', until: 0 }
  /** ms since the epoch: when the PDP last answered that it does not know this enforcement point. */
  #unknownAt: number | undefined

  constructor(options: PdpClientOptions) {
    this.#options = options
  }
  /**
   * Whether the PDP knew this enforcement point when it last answered. A "no" holds for a few seconds: then the next call asks again, and a
   * point that no call reaches while it is not ready finds out that it was registered.
   */
  get isKnown(): boolean {
    return this.#unknownAt === undefined || this.#options.now() - this.#unknownAt >= unknownForMs
  }

  /** Throws `pdp_unavailable` if there is no usable answer: a refused connection, a timeout, a body that is not strict JSON. */
  async call(method: 'GET' | 'POST', path: string, body?: object, signal?: AbortSignal): Promise<PdpAnswer> {
    if (signal !== undefined) return await this.#ask(method, path, body, signal)
    using late = abortedAfter(this.#options.timeoutMs)
    return await this.#ask(method, path, body, late.signal)
  }

  async #ask(method: 'GET' | 'POST', path: string, body: object | undefined, signal: AbortSignal): Promise<PdpAnswer> {
    const { fetch, pdpUrl } = this.#options
    try {
      const response = await fetch(`${pdpUrl}${path}`, {
        method,
        redirect: 'manual',
        signal,
        headers: {
          accept: 'application/json',
          ...(body ? { authorization: `Bearer ${this.#currentAssertion()}`, 'content-type': 'application/json' } : {}),
        },
        ...(body ? { body: JSON.stringify(body) } : {}),
      })
      const bytes = await readBounded(response)
      const retryAfterSeconds = secondsIn(response.headers.get('retry-after'))
      const { status } = response
      const answer = { status, body: bytes.length === 0 ? undefined : parseStrictJson(bytes), retryAfterSeconds }
      if (body) this.#setKnown(answer)
      return answer
    } catch (error) {
      throw new ServiceError('pdp_unavailable', undefined, { cause: error })
    }
  }

  /**
   * Like `call`, but if the connection fails it asks again, at most twice and within the time of one answer. Use it only for requests that
   * may be repeated because the PDP gives the same call the same answer.
   */
  async callAgain(method: 'GET' | 'POST', path: string, body: object): Promise<PdpAnswer> {
    using late = abortedAfter(this.#options.timeoutMs)
    const deadline = late.signal
    for (const pauseMs of againAfterMs) {
      try {
        return await this.call(method, path, body, deadline)
      } catch (error) {
        if (!isLost(error) || deadline.aborted) throw error
        await after(pauseMs, deadline).catch(() => undefined)
      }
    }
    return await this.call(method, path, body, deadline)
  }

  /** Reports the first answer in which the PDP does not know this enforcement point: its key was changed, or it is no longer registered. */
  #setKnown({ status, body }: PdpAnswer): void {
    const isKnown = status !== 401 || errorCode(body) !== 'caller_unauthenticated'
    if (this.#unknownAt === undefined && !isKnown)
      this.#options.onProblem(
        new ServiceError('caller_unauthenticated', 'the PDP does not know this enforcement point'),
      )
    this.#unknownAt = isKnown ? undefined : this.#options.now()
  }

  #currentAssertion(): string {
    const { id, instance, callerKey, pdpUrl, now, random } = this.#options
    const at = now()
    // The lower bound: after a clock is set back, we must not keep an assertion from the future.
    const issuedAt = this.#assertion.until - assertionSeconds * 1000
    if (this.#assertion.until - assertionMarginMs <= at || at < issuedAt) {
      const iat = Math.floor(at / 1000)
      const exp = iat + assertionSeconds
      const claims = { iss: id, sub: id, aud: pdpUrl, iat, exp, jti: encodeRandom(random), instance }
      this.#assertion = { text: signCallerAssertion(claims, callerKey), until: exp * 1000 }
    }
    return this.#assertion.text
  }
}

/** No answer arrived, or only a part of one: `fetch` throws a TypeError in that case. */
const isLost = (error: unknown): boolean => error instanceof ServiceError && error.cause instanceof TypeError

function secondsIn(header: string | null): number | undefined {
  const seconds = Number(header ?? Number.NaN)
  return Number.isInteger(seconds) && seconds > 0 && seconds <= 3600 ? seconds : undefined
}
