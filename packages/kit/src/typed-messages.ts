/** What to do with the messages of a stream. The length of a body does not count its head. */
export interface MessageVisitor {
  /** `head`: the type and the length, as they came. */
  begin?(type: string, length: number, head: Uint8Array): void
  /** A part of the body, never empty. */
  part?(bytes: Uint8Array): void
  /** `at`: where in the chunk the next message begins. */
  end?(at: number): void
}

/**
 * Finds the messages in a stream of bytes, however it is cut into chunks: each has a type of one byte, a length of four bytes that counts
 * itself, and a body (PostgreSQL's protocol 3). It keeps no more than a head.
 */
export class TypedMessages {
  readonly #head = Buffer.alloc(5)
  #headBytes = 0
  #left = 0

  /** Whether the last chunk ended with a message. */
  get isBetween(): boolean {
    return this.#headBytes === 0
  }

  /** Throws what the visitor throws, and a RangeError for a length that no message can have. Then the stream has no meaning any more. */
  read(chunk: Uint8Array, visitor: MessageVisitor): void {
    for (let at = 0; at < chunk.length; ) {
      if (this.#headBytes < 5) {
        const taken = Math.min(5 - this.#headBytes, chunk.length - at)
        this.#head.set(chunk.subarray(at, at + taken), this.#headBytes)
        this.#headBytes += taken
        at += taken
        if (this.#headBytes < 5) return
        const length = this.#head.readInt32BE(1)
        if (length < 4) throw new RangeError('a message with an impossible length')
        this.#left = length - 4
        visitor.begin?.(String.fromCharCode(this.#head[0] ?? 0), this.#left, Buffer.from(this.#head))
      } else {
        const part = chunk.subarray(at, at + this.#left)
        this.#left -= part.length
        at += part.length
        visitor.part?.(part)
      }
      if (this.#left > 0) continue
      this.#headBytes = 0
      visitor.end?.(at)
    }
  }
}
