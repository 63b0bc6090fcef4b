import type { EventData } from '@bailiwick/contracts'
import { type SaltedText, saltedHash } from '@bailiwick/credentials'
import type { Draft, Producer } from '@bailiwick/projection'

const topic = 'attachments.policy-decision.v1'
type Attachments = typeof topic

const longestQueue = 1000
const batch = 64
/** Erased before they were handed over: more than an operator can name within the second that a decision may take to end. */
const mostErased = 10_000
/** Characters: what an attachment may hold (docs/events). A longer call stands in the log as its salted hash alone. */
const longestText = 20_000

/**
 * Calls that were allowed, with their salts, on their way to evidence, where the installation wants them kept: handed over behind the
 * answer, so that no decision waits. The queue is bounded; a decision that finds it full is not said to be kept.
 */
export class KeptCalls implements AsyncDisposable {
  readonly #producer: Pick<Producer, 'publish'>
  readonly #queue: Draft<Attachments>[] = []
  readonly #erased = new Set<string>()
  #draining: Promise<void> | undefined

  constructor(producer: Pick<Producer, 'publish'>) {
    this.#producer = producer
  }

  takes(text: string): boolean {
    return text.length <= longestText && this.#queue.length < longestQueue
  }

  keep(about: string, prose: SaltedText): void {
    const hash = saltedHash(prose)
    if (hash === undefined) return
    const attachment_id = `att_${hash}`
    if (this.#erased.has(attachment_id)) return
    const data = { attachment_id, about, ...prose, salted_sha256: hash }
    this.#queue.push({ type: 'attachment.stored', subject: attachment_id, data })
    this.#draining ??= this.#drain().finally(() => {
      this.#draining = undefined
    })
  }

  /** Resolves when it is durably said; evidence then does it, and says so in the log. */
  async erase(erasures: readonly EventData<Attachments, 'attachment.erased'>[]): Promise<void> {
    // What waits here, or comes only now since its decision is not answered yet, would come after its own erasure, and take its place on
    // the bus.
    for (const { attachment_id } of erasures) this.#erased.add(attachment_id)
    for (const oldest of this.#erased.values().take(Math.max(0, this.#erased.size - mostErased)))
      this.#erased.delete(oldest)
    await this.#draining
    await this.#producer.publish(
      topic,
      erasures.map((data) => ({ type: 'attachment.erased', subject: data.attachment_id, data })),
    )
  }

  async #drain(): Promise<void> {
    await undefined
    while (this.#queue.length > 0)
      // What cannot be made durable in time is given up: a call that is said to be kept, and that evidence never had.
      await this.#producer.publish(topic, this.#queue.splice(0, batch)).catch(() => undefined)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#draining
  }
}
