import { sha256 } from '../base64url.ts'

/** How many tokens are remembered; beyond that, the one shown first is forgotten. */
const maxTokens = 100_000

/**
 * Remembers the key with which each token was first shown, while the token lives. A token is text that travels; the key is never sent.
 * The signed content and half of the signature identify a token. With ECDSA, (r, n - s) verifies wherever (r, s) does, and
 * anyone can write it; and one authority may say the same of two workloads in one second.
 */
export class OneKeyEach {
  readonly #shown = new Map<string, { key: string; until: number }>()

  /** Whether this token was never shown with another key. Remembers it until `until`, in ms since the epoch. */
  with(token: string, key: string, until: number, now: number): boolean {
    const named = nameOf(token)
    const known = this.#shown.get(named)
    if (known !== undefined && now < known.until) return known.key === key
    this.#makeRoom(now)
    this.#shown.set(named, { key, until })
    return true
  }

  #makeRoom(now: number): void {
    if (this.#shown.size < maxTokens) return
    for (const [hash, { until }] of this.#shown) {
      if (until > now && this.#shown.size < maxTokens) break
      this.#shown.delete(hash)
    }
  }
}

function nameOf(token: string): string {
  const cut = token.lastIndexOf('.')
  const signature = Buffer.from(token.slice(cut + 1), 'base64url')
  return sha256(`${token.slice(0, cut)}.${signature.toString('hex', 0, signature.length / 2)}`)
}
