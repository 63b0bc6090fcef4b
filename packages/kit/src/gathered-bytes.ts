/**
 * Bytes that come in parts, in one array. The sender chooses the parts: kept one by one, parts of one byte would take hundreds of times their
 * length. Bound what you push: there is no limit here.
 */
export class GatheredBytes {
  #held = Buffer.alloc(0)
  #length = 0

  get length(): number {
    return this.#length
  }

  push(part: Uint8Array): void {
    const length = this.#length + part.length
    if (length > this.#held.length) {
      const larger = Buffer.alloc(Math.max(length, 2 * this.#held.length, leastHeld))
      this.#held.copy(larger, 0, 0, this.#length)
      this.#held = larger
    }
    this.#held.set(part, this.#length)
    this.#length = length
  }

  /** What has come so far. What is pushed later is not in it. */
  bytes(): Buffer {
    return this.#held.subarray(0, this.#length)
  }
}

const leastHeld = 1024
