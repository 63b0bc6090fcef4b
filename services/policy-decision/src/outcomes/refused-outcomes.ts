import { setMaxListeners } from 'node:events'
import type { EventData } from '@bailiwick/contracts'
import { sha256 } from '@bailiwick/credentials'
import type { Recording } from '../ports.ts'
import { recordOnceTaken } from '../record/record-once-taken.ts'

type Refused = EventData<'decisions.v1', 'outcome.refused'>

/** How many refused outcomes are remembered. One per decision, beside the one that counts, is enough to accuse its enforcement point. */
const remembered = 10_000
/** How many are being published at once, at most. An enforcement point that signs more still gets its answer. */
const mostUnderWay = 64

/**
 * Records each outcome that an enforcement point signed and the decision point refused, so that a second outcome is never swallowed. It
 * does so after the answer, and once for each decision and code: a point that goes on signing cannot fill the log.
 */
export class RefusedOutcomes implements AsyncDisposable {
  readonly #recording: Pick<Recording, 'record'>
  readonly #told = new Set<string>()
  readonly #underWay = new Set<Promise<unknown>>()
  readonly #stop = new AbortController()

  constructor(recording: Pick<Recording, 'record'>) {
    this.#recording = recording
    setMaxListeners(mostUnderWay, this.#stop.signal)
  }

  tell(data: Refused): void {
    const name = sha256(`${data.decision_id} ${data.code}`)
    if (this.#told.has(name) || this.#underWay.size >= mostUnderWay) return
    this.#told.add(name)
    if (this.#told.size > remembered) this.#told.delete(this.#told.values().next().value ?? name)
    const draft = { type: 'outcome.refused' as const, subject: data.decision_id, key: data.grant_id, data }
    // As with denials, a numbered event stays in hand until it is durable, and an event that is not read back in time is durable.
    const telling = recordOnceTaken(this.#recording.record, [draft], this.#stop.signal)
      .catch(() => undefined)
      .finally(() => this.#underWay.delete(telling))
    this.#underWay.add(telling)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await Promise.all(this.#underWay)
  }
}
