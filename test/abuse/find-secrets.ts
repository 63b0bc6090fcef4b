/** This many consecutive characters of a secret count as a leak. */
const width = 16
const bits = 26
const prime = 0x01000193

/**
 * Searches for many long, similar secrets in everything that was ever written. Each place is read once, however many
 * secrets there are. The search looks at every offset for pieces of 16 characters that belong to one secret only, so it
 * also finds a truncated secret. For a signed token it uses pieces of the signature: the claims may appear in other
 * places legitimately.
 */
export class Secrets {
  /** The secret that this is a piece of; undefined: several have it, so it proves nothing. */
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

  /** The number of secrets of each kind. */
  get kinds(): Record<string, number> {
    return Object.fromEntries([...this.#whats].sort(([a], [b]) => (a < b ? -1 : 1)))
  }

  /** The secrets whose pieces stand in these bytes. */
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

/** The hash of the `width` bytes from `start`; the hash of the next window follows from it (Rabin and Karp). */
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
