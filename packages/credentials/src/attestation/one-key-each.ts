/** How many tokens are remembered; beyond, the one that was shown first is forgotten. */
const maxTokens = 100_000

/** Which key each token was first shown with, while it lives. A token is text that travels; the key is what nobody sends. */
export class OneKeyEach {
  readonly #shown = new Map<string, { key: string; until: number }>()

  /** Whether this token was never shown with another key. Remembers it until then, in ms since the epoch. */
  with(tokenHash: string, key: string, until: number, now: number): boolean {
    const known = this.#shown.get(tokenHash)
    if (known !== undefined && now < known.until) return known.key === key
    this.#makeRoom(now)
    this.#shown.set(tokenHash, { key, until })
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
