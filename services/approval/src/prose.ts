import type { Bus, FollowSubscription, Message } from '@bailiwick/bus'
import { attachmentsApprovalV1, type DecodedEvent, decodeEvent, type EventData } from '@bailiwick/contracts'
import { encodeBase64url, type KeyRing, type SaltedText, saltedHash } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import type { Producer } from '@bailiwick/instance'
import type { RandomSource } from '@bailiwick/kit'

const topic = 'attachments.approval.v1'
const lookbackMs = 9 * 3600 * 1000

/**
 * The words of people and agents, by salted hash. They travel beside the log, so that they can be erased without touching a leaf. A text
 * read from the topic is accepted only under its own hash.
 */
export class Prose implements AsyncDisposable {
  readonly #texts = new Map<string, string>()
  readonly #erased = new Set<string>()
  /** Hashes of texts that an event is about to refer to. */
  readonly #awaited = new Set<string>()
  #subscription: FollowSubscription | undefined

  /** Reads the existing texts, so that a restart shows the same words. */
  async follow(
    bus: Bus,
    keyRing: KeyRing,
    { now, onFatal }: { now: number; onFatal: (e: unknown) => void },
  ): Promise<void> {
    const subscription = await bus.follow([topic], { time: now - lookbackMs }, async (batch) => {
      for (const message of batch) this.#fold(message, keyRing)
    })
    this.#subscription = subscription
    subscription.failed.catch(onFatal)
    await Promise.race([subscription.caughtUp, subscription.failed])
  }

  #fold(message: Message, keyRing: KeyRing): void {
    const decoded = decodeEvent(attachmentsApprovalV1, message.bytes)
    if (!decoded.ok) return
    const event = decoded.event as DecodedEvent<typeof topic>
    if (!keyRing.verifyEvent(message.bytes, topic, Date.parse(event.time)).ok) return
    if (event.type === 'attachment.erased') this.#forget(event.data.attachment_id)
    else if (saltedHash(event.data) === event.data.salted_sha256)
      this.#remember(event.data.salted_sha256, event.data.text)
  }

  #remember(hash: string, text: string): void {
    if (!this.#erased.has(hash)) this.#texts.set(hash, text)
  }

  #forget(attachmentId: string): void {
    const hash = attachmentId.slice('att_'.length)
    this.#erased.add(hash)
    this.#texts.delete(hash)
  }

  /** Whether the text of this hash was erased, as opposed to never known or no longer needed. */
  isErased(hash: string): boolean {
    return this.#erased.has(hash)
  }

  text(hash: string | undefined): string | undefined {
    return hash === undefined ? undefined : this.#texts.get(hash)
  }

  /** Makes the text durable beside the log. Its id is derived from it, so that sending the same text again gives the same attachment. */
  async keep(producer: Producer, about: string, prose: SaltedText): Promise<{ salted_sha256: string }> {
    const hash = saltedHash(prose)
    if (hash === undefined) throw new ServiceError('request_malformed', 'salt: not 16 bytes')
    // Publishing it again would bring it back.
    if (this.#erased.has(hash)) return { salted_sha256: hash }
    const attachmentId = `att_${hash}`
    await producer.publishOne(topic, {
      type: 'attachment.stored',
      subject: attachmentId,
      data: { attachment_id: attachmentId, about, ...prose, salted_sha256: hash },
    })
    this.#remember(hash, prose.text)
    return { salted_sha256: hash }
  }

  /** Keeps texts for the event that `refer` publishes. No event refers to them until that one counts; they are not forgotten meanwhile. */
  async keepFor(
    producer: Producer,
    about: string,
    texts: readonly SaltedText[],
    refer: () => Promise<void>,
  ): Promise<void> {
    const hashes = texts.map((each) => saltedHash(each) ?? '')
    for (const hash of hashes) this.#awaited.add(hash)
    try {
      for (const each of texts) await this.keep(producer, about, each)
      await refer()
    } finally {
      for (const hash of hashes) this.#awaited.delete(hash)
    }
  }

  /** Keeps a person's text, with a salt of ours. */
  keepFresh(producer: Producer, random: RandomSource, about: string, text: string): Promise<{ salted_sha256: string }> {
    return this.keep(producer, about, { salt: encodeBase64url(random(16)), text })
  }

  /**
   * Erases a text for good: from the embedded bus's disk, at evidence, and here. Resolves when the erasure order is durable; evidence then
   * carries it out and records that in the log.
   */
  async erase(producer: Producer, erasure: EventData<typeof topic, 'attachment.erased'>): Promise<void> {
    const { attachment_id } = erasure
    await producer.publishOne(topic, { type: 'attachment.erased', subject: attachment_id, data: erasure })
    this.#forget(attachment_id)
  }

  /** Forgets texts that are no longer referred to. */
  forgetAllBut(needed: ReadonlySet<string>): void {
    for (const hash of this.#texts.keys()) if (!needed.has(hash) && !this.#awaited.has(hash)) this.#texts.delete(hash)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#subscription?.[Symbol.asyncDispose]()
  }
}
