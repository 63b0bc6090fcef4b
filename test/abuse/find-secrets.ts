/** So many characters in a row of a secret are a leak of it. */
const width = 16
const bits = 26
const prime = 0x01000193

/**
 * Secrets, many of them long and alike, to be looked for in all that was ever written: in each place once, however many there are.
 * Looked for are pieces of 16 characters that only one secret has, at any offset of a place; so a secret that was cut is found. Of a
 * signed token these are pieces of its signature: what it says is said alike by others, which may stand there.
 */
export class Secrets {
  /** What it is a piece of; undefined: of several, which shows nothing. */
  readonly #pieces = new Map<string, string | undefined>()
  readonly #whats = new Map<string, number>()
  readonly #known = new Set<string>()
  readonly #filter = new Uint8Array(2 ** (bits - 3))

  add(what: string, secret: string | null | undefined): void {
    if (!secret || secret.length < width || this.#known.has(secret)) return
    this.#known.add(secret)
    const own = secret.slice(secret.lastIndexOf('.') + 1)
    this.#whats.set(what, (this.#whats.get(what) ?? 0) + 1)
    const starts = Array.from({ length: Math.floor(own.length / width) }, (_, n) => n * width)
    for (const start of new Set([...starts, own.length - width])) {
      const piece = own.slice(start, start + width)
      this.#pieces.set(piece, this.#pieces.has(piece) ? undefined : what)
      const at = slotOf(hashOf(Buffer.from(piece, 'latin1'), 0))
      this.#filter[at >>> 3] = (this.#filter[at >>> 3] ?? 0) | (1 << (at & 7))
    }
  }

  /** How many there are of each kind. */
  get kinds(): Record<string, number> {
    return Object.fromEntries([...this.#whats].sort(([a], [b]) => (a < b ? -1 : 1)))
  }

  /** Whose pieces stand in these bytes. */
  in(bytes: Buffer): string[] {
    const found = new Set<string>()
    if (bytes.length < width) return []
    const oldest = power(prime, width - 1)
    let hash = hashOf(bytes, 0)
    for (let end = width; ; end++) {
      const at = slotOf(hash)
      if (((this.#filter[at >>> 3] ?? 0) & (1 << (at & 7))) !== 0) {
        const what = this.#pieces.get(bytes.toString('latin1', end - width, end))
        if (what !== undefined) found.add(what)
      }
      if (end >= bytes.length) return [...found].sort()
      const gone = bytes[end - width] as number
      hash = (Math.imul(hash - Math.imul(gone, oldest), prime) + (bytes[end] as number)) | 0
    }
  }
}

/** Of the `width` bytes from `start` on; that of the next ones follows from it (Rabin and Karp). */
function hashOf(bytes: Buffer, start: number): number {
  let hash = 0
  for (let n = start; n < start + width; n++) hash = (Math.imul(hash, prime) + (bytes[n] as number)) | 0
  return hash
}

function power(base: number, exponent: number): number {
  let result = 1
  for (let n = 0; n < exponent; n++) result = Math.imul(result, base)
  return result
}

const slotOf = (hash: number) => (hash ^ (hash >>> 15)) & (2 ** bits - 1)
