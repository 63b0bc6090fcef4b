import { OAuthError } from './oauth-error.ts'

/** RFC 8628 §3.5: the interval of a client that was given none, and what each `slow_down` adds for all later polls. */
const intervalSeconds = 5
const longestSeconds = 60

interface Poll {
  /** ms, monotonic. */
  at: number
  intervalSeconds: number
}

/**
 * Limits how often each client asks for an undecided request. A client that asks sooner than it was told must wait 5 s longer, this time
 * and each time after. A decision is answered at once, however soon: only waiting is slowed down. In memory; the oldest entries are
 * dropped.
 */
export class Polls {
  readonly #last = new Map<string, Poll>()
  readonly #most: number

  constructor(most = 10_000) {
    this.#most = most
  }

  /** `authorization_pending`, or `slow_down` to a client that asks too often. `now` in ms, monotonic. */
  answer(client: string, request: string, now: number): OAuthError {
    const name = `${client} ${request}`
    const last = this.#last.get(name)
    const tooSoon = last !== undefined && now < last.at + last.intervalSeconds * 1000
    const wait = Math.min((last?.intervalSeconds ?? intervalSeconds) + (tooSoon ? intervalSeconds : 0), longestSeconds)
    this.#last.delete(name)
    this.#last.set(name, { at: now, intervalSeconds: wait })
    if (this.#last.size > this.#most) this.#last.delete(this.#last.keys().next().value ?? name)
    return tooSoon
      ? new OAuthError('slow_down', `The request is not decided yet: ask every ${wait} s.`, { waitSeconds: wait })
      : new OAuthError('authorization_pending', 'The request is not decided yet: ask again later.', {
          waitSeconds: wait,
        })
  }
}
