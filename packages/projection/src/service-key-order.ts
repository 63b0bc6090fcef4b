import type { ServiceKey } from '@bailiwick/contracts'

/** The services' keys in the order in which they became active. Of the keys of a purpose that may sign, the last one signs. */
export class ServiceKeyOrder {
  readonly #keys = new Map<string, ServiceKey>()
  /** Every key that was ever active, including keys revoked since. */
  readonly #activated = new Map<string, number>()
  readonly #purposes = new Set<string>()

  /** The registry's new value for this key; undefined: it was revoked. */
  apply(kid: string, key: ServiceKey | undefined): void {
    if (key === undefined) {
      this.#keys.delete(kid)
      return
    }
    this.#keys.set(kid, key)
    this.#purposes.add(key.purpose)
    if ((key.state ?? 'active') === 'active' && !this.#activated.has(kid))
      this.#activated.set(kid, this.#activated.size)
  }

  /** Whether the registry ever had a key of this purpose. Until then a service signs with the key that it was given. */
  knows(purpose: string): boolean {
    return this.#purposes.has(purpose)
  }

  /** The keys that may sign for this purpose, the preferred one first. */
  signers(purpose: string): ServiceKey[] {
    const order = (kid: string) => this.#activated.get(kid) ?? -1
    return [...this.#keys.values()]
      .filter((key) => key.purpose === purpose && (key.state ?? 'active') === 'active')
      .sort((a, b) => order(b.id) - order(a.id))
  }

  /** Whether `kid` became active after `former`, for the same purpose: the holder of `former` then goes on with `kid`. */
  succeeds(kid: string, former: string): boolean {
    const [next, before] = [this.#activated.get(kid), this.#activated.get(former)]
    return next !== undefined && before !== undefined && next > before
  }
}
