import type { EventData } from '@bailiwick/contracts'
import { type SaltedText, saltedHash } from '@bailiwick/credentials'
import type { Draft, Producer } from '@bailiwick/instance'

const topic = 'attachments.policy-decision.v1'
type Attachments = typeof topic

const longestQueue = 1000
const batch = 64
/** Calls erased before they were handed over. An operator cannot name as many within the second that a decision may take. */
const mostErased = 10_000
/** Characters that an attachment may hold (docs/reference/events). The log holds a longer call only as its salted hash. */
const longestText = 20_000

/**
 * Allowed calls, with their salts, on their way to evidence, if the installation wants them kept. They are handed over after the answer,
 * so that no decision waits. The queue is bounded; the event of a decision that finds it full does not say that its call is kept.
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

  /** Resolves once the erasure is durable on the bus. Evidence then performs it and records that in the log. */
  async erase(erasures: readonly EventData<Attachments, 'attachment.erased'>[]): Promise<void> {
    // A call that waits here, or that comes later because its decision is not answered yet, must not follow its own erasure on the bus
    // and take its place.
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
      // A call that cannot be made durable in time is given up: its event says that it is kept, but evidence never gets it.
      await this.#producer.publish(topic, this.#queue.splice(0, batch)).catch(() => undefined)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#draining
  }
}
