import { errorCode } from '@bailiwick/errors'
import { after, type Clock, SerialQueue } from '@bailiwick/kit'
import type { EnforcementPoint, Found, Refusal, Search } from '@bailiwick/pep'

/** Searches that wait here, and those with one credential among them. */
const [most, mostWithOne] = [2048, 16]
/** How long one may wait for those with its credential that came before it, in ms. */
const mostMs = 20_000
/** Pauses before a search that the decision point had no room for is made again: there, all tasks and instances of an agent share a lane. */
const againAfterMs = [100, 200, 400, 800, 1600]

/**
 * Makes the searches of all servers, those with one credential one after the other. An agent that lists without end holds up itself alone
 * (V18): what a credential claims is not verified here, so nothing waits for another credential, not even for one that names the same agent.
 */
export class Searches {
  readonly #point: Pick<EnforcementPoint, 'search'>
  readonly #lanes: SerialQueue
  readonly #againAfterMs: readonly number[]

  constructor(point: Pick<EnforcementPoint, 'search'>, clock: Pick<Clock, 'monotonic'>, pausesMs = againAfterMs) {
    this.#point = point
    this.#againAfterMs = pausesMs
    const wait = { mostMs, monotonic: () => clock.monotonic() }
    this.#lanes = new SerialQueue({ maxPerKey: mostWithOne, max: most, wait })
  }

  /** As `EnforcementPoint.search`, in its turn. Refuses with `queue_full` if too many wait. */
  async make(search: Search): Promise<Found | Refusal> {
    try {
      return await this.#lanes.serially(search.credential ?? '', () => this.#patiently(search))
    } catch (error) {
      if (errorCode(error) !== 'queue_full') throw error
      return { allowed: false, reason: 'queue_full' }
    }
  }

  async #patiently(search: Search): Promise<Found | Refusal> {
    let answer = await this.#point.search(search)
    for (const ms of this.#againAfterMs) {
      if (!('allowed' in answer) || answer.reason !== 'queue_full') break
      await after(ms)
      answer = await this.#point.search(search)
    }
    return answer
  }
}
