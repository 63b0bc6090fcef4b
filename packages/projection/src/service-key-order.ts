import type { ServiceKey } from '@bailiwick/contracts'

/** The services' keys in the order in which they came to sign: of those of a purpose that may sign, the last one does. */
export class ServiceKeyOrder {
  readonly #keys = new Map<string, ServiceKey>()
  /** Of every key that ever was active, revoked since or not. */
  readonly #activated = new Map<string, number>()
  readonly #purposes = new Set<string>()

  /** What the registry holds of this key from now on; undefined: it was revoked. */
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

  /** Whether the registry ever had a key of this purpose: until then a service signs with what it was given. */
  knows(purpose: string): boolean {
    return this.#purposes.has(purpose)
  }

  /** Who may sign for this purpose, the one that should first. */
  signers(purpose: string): ServiceKey[] {
    const order = (kid: string) => this.#activated.get(kid) ?? -1
    return [...this.#keys.values()]
      .filter((key) => key.purpose === purpose && (key.state ?? 'active') === 'active')
      .sort((a, b) => order(b.id) - order(a.id))
  }

  /** Whether `kid` came to sign after `former` did, for the same purpose: whoever signed with that one goes on with this. */
  succeeds(kid: string, former: string): boolean {
    const [next, before] = [this.#activated.get(kid), this.#activated.get(former)]
    return next !== undefined && before !== undefined && next > before
  }
}
