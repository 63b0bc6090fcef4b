import type { Bus, FollowSubscription, Message } from '@bailiwick/bus'
import { attachmentsApprovalV1, type DecodedEvent, decodeEvent } from '@bailiwick/contracts'
import { decodeBase64url, encodeBase64url, type KeyRing, sha256 } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import type { Producer } from '@bailiwick/projection'
import type { RandomSource } from '@bailiwick/service-kit'

export interface SaltedText {
  salt: string
  text: string
}

const topic = 'attachments.approval.v1'
const lookbackMs = 9 * 3600 * 1000

/** SHA-256 of the 16-byte salt followed by the text in UTF-8: what stands for the text in events and signatures. */
export function saltedHash({ salt, text }: SaltedText): string | undefined {
  const bytes = decodeBase64url(salt)
  return bytes?.length === 16 ? sha256(Buffer.concat([bytes, Buffer.from(text)])) : undefined
}

/**
 * What people and agents wrote in their own words, by salted hash. It travels beside the log, so that it can be erased
 * without touching a leaf; what is read from the topic is believed only under its own hash.
 */
export class Prose implements AsyncDisposable {
  readonly #texts = new Map<string, string>()
  #subscription: FollowSubscription | undefined

  /** Reads what there is, so that a restart shows the same words. */
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
    if (event.type === 'attachment.erased') this.#texts.delete(event.data.attachment_id.slice('att_'.length))
    else if (saltedHash(event.data) === event.data.salted_sha256)
      this.#texts.set(event.data.salted_sha256, event.data.text)
  }

  text(hash: string | undefined): string | undefined {
    return hash === undefined ? undefined : this.#texts.get(hash)
  }

  /** Makes the text durable beside the log. Its id is derived, so that the same text sent again is the same attachment. */
  async keep(producer: Producer, about: string, prose: SaltedText): Promise<{ salted_sha256: string }> {
    const hash = saltedHash(prose)
    if (hash === undefined) throw new ServiceError('request_malformed', 'salt: not 16 bytes')
    const attachmentId = `att_${hash}`
    await producer.publishOne(topic, {
      type: 'attachment.stored',
      subject: attachmentId,
      data: { attachment_id: attachmentId, about, ...prose, salted_sha256: hash },
    })
    this.#texts.set(hash, prose.text)
    return { salted_sha256: hash }
  }

  /** Keeps a text of a person, with a salt of ours. */
  keepFresh(producer: Producer, random: RandomSource, about: string, text: string): Promise<{ salted_sha256: string }> {
    return this.keep(producer, about, { salt: encodeBase64url(random(16)), text })
  }

  /** Forgets what nothing refers to any more. */
  forgetAllBut(needed: ReadonlySet<string>): void {
    for (const hash of this.#texts.keys()) if (!needed.has(hash)) this.#texts.delete(hash)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#subscription?.[Symbol.asyncDispose]()
  }
}
