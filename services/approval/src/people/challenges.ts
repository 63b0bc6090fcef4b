import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { Clock, RandomSource } from '@bailiwick/kit'
import { Transient } from '../transient.ts'

// 48 bytes, so that a name has the 64 characters that an enrolment id may have.
const randomBytes = 14
const timeBytes = 6
const aboutBytes = 12
const markBytes = 16
const mostUsed = 10_000

export interface ChallengeOptions {
  lifeMs: number
  clock: Clock
  random: RandomSource
}

/**
 * Challenges for people who have not proved anything yet. An unused challenge takes no memory in this process: otherwise a caller that
 * requests thousands would push out those of people who hold a key. A challenge's name holds random bytes, the time at which it ends and a
 * hash of its subject, under a MAC of this process. The challenge is derived from the name.
 */
export class Challenges {
  readonly #options: ChallengeOptions
  readonly #key: Uint8Array
  readonly #used: Transient<true>

  constructor(options: ChallengeOptions) {
    this.#options = options
    this.#key = options.random(32)
    this.#used = new Transient({ lifeMs: options.lifeMs, max: mostUsed, clock: options.clock })
  }

  /** Makes a new challenge. `about` is the subject that it must be used for. */
  make(about: string): { id: string; challenge: Uint8Array } {
    const { lifeMs, clock, random } = this.#options
    const until = Buffer.alloc(timeBytes)
    until.writeUIntBE(Math.ceil(clock.monotonic() + lifeMs), 0, timeBytes)
    const facts = Buffer.concat([random(randomBytes), until, digest(about)])
    const id = Buffer.concat([facts, this.#mac('mark', facts).subarray(0, markBytes)])
    return { id: id.toString('base64url'), challenge: this.#mac('challenge', facts) }
  }

  /** The challenge of this name; undefined if it is not ours, too old or used. */
  find(id: string): Uint8Array | undefined {
    const facts = this.#factsOf(id)
    if (facts === undefined || this.#used.get(id)) return undefined
    const until = facts.readUIntBE(randomBytes, timeBytes)
    return this.#options.clock.monotonic() < until ? this.#mac('challenge', facts) : undefined
  }

  /** Whether the challenge was made about this subject. */
  isAbout(id: string, about: string): boolean {
    return (
      this.#factsOf(id)
        ?.subarray(randomBytes + timeBytes)
        .equals(digest(about)) ?? false
    )
  }

  /** Uses it up; false if another call was quicker (V10). `owner` is what the caller has proved: used challenges stay in memory. */
  use(id: string, owner: string): boolean {
    if (this.find(id) === undefined) return false
    this.#used.put(id, true, owner)
    return true
  }

  #factsOf(id: string): Buffer | undefined {
    const bytes = Buffer.from(id, 'base64url')
    const length = randomBytes + timeBytes + aboutBytes
    // A name can be spelled in many ways, but only one spelling counts: `used` compares names.
    if (bytes.length !== length + markBytes || bytes.toString('base64url') !== id) return undefined
    const facts = bytes.subarray(0, length)
    return timingSafeEqual(bytes.subarray(length), this.#mac('mark', facts).subarray(0, markBytes)) ? facts : undefined
  }

  #mac(purpose: 'mark' | 'challenge', facts: Uint8Array): Buffer {
    return createHmac('sha256', this.#key).update(purpose).update(facts).digest()
  }
}

const digest = (about: string) => createHash('sha256').update(about).digest().subarray(0, aboutBytes)
