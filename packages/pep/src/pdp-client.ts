import { parseStrictJson } from '@bailiwick/contracts'
import { type SigningKey, signCallerAssertion } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { encodeRandom } from './random-text.ts'

export interface PdpClientOptions {
  /** The enforcement point's id in the registry. */
  id: string
  /** This start of it, as each assertion states. */
  instance: string
  callerKey: SigningKey<'pep-caller'>
  /** The PDP's public URL, without a slash at the end: the audience of assertions and the issuer of permits. */
  pdpUrl: string
  fetch: typeof fetch
  /** ms since the epoch */
  now: () => number
  random: (n: number) => Uint8Array
  /** How long one answer may take, in ms. */
  timeoutMs: number
}

const assertionSeconds = 60
/** An assertion is used again while it has at least this long to live, so that the PDP verifies one and not hundreds. */
const assertionMarginMs = 15_000
/** The keys of permits are the longest, a kilobyte each with its certificate. */
const longestAnswerBytes = 1_048_576

/** An answer of the PDP, read strictly; `body` is undefined when there was none. */
export interface PdpAnswer {
  status: number
  body: unknown
}

/** Speaks to the PDP as this enforcement point: every wait ends, no redirect is followed, nothing large is read. */
export class PdpClient {
  readonly #options: PdpClientOptions
  #assertion = { text: '', until: 0 }

  constructor(options: PdpClientOptions) {
    this.#options = options
  }

  /** Throws `pdp_unavailable` for whatever is no answer: a refused connection, a timeout, a body that is not strict JSON. */
  async call(method: 'GET' | 'POST', path: string, body?: object): Promise<PdpAnswer> {
    const { fetch, pdpUrl, timeoutMs } = this.#options
    try {
      const response = await fetch(`${pdpUrl}${path}`, {
        method,
        redirect: 'error',
        signal: AbortSignal.timeout(timeoutMs),
        headers: {
          accept: 'application/json',
          ...(body ? { authorization: `Bearer ${this.#currentAssertion()}`, 'content-type': 'application/json' } : {}),
        },
        ...(body ? { body: JSON.stringify(body) } : {}),
      })
      const bytes = await readBounded(response)
      return { status: response.status, body: bytes.length === 0 ? undefined : parseStrictJson(bytes) }
    } catch (error) {
      throw new ServiceError('pdp_unavailable', undefined, { cause: error })
    }
  }

  #currentAssertion(): string {
    const { id, instance, callerKey, pdpUrl, now, random } = this.#options
    const at = now()
    // The lower bound: a clock that was set back must not leave us with an assertion from the future.
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

async function readBounded(response: Response): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of response.body ?? []) {
    length += chunk.length
    if (length > longestAnswerBytes) throw new Error('the answer is too long')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
