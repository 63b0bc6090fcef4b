import type { Behind } from './server-asks.ts'

/** The sessions at the gateway behind one session of a client: one for each grant, and begun once, however many calls need it. */
export class Behinds {
  readonly #begun = new Map<string, Promise<Behind>>()

  constructor(first?: Behind) {
    if (first !== undefined) this.#begun.set(first.grantId, Promise.resolve(first))
  }

  /** The session of a grant. `begin` says its name at the gateway. Rejects as `begin` does, and the next call tries again. */
  of(grantId: string, begin: () => Promise<string | undefined>): Promise<Behind> {
    const known = this.#begun.get(grantId)
    if (known !== undefined) return known
    const begun = begin().then((id) => ({ grantId, id }))
    this.#begun.set(grantId, begun)
    begun.catch(() => {
      if (this.#begun.get(grantId) === begun) this.#begun.delete(grantId)
    })
    return begun
  }

  /** Forgets a session that the gateway no longer has, unless another call has begun the next one already. */
  async lost(behind: Behind): Promise<void> {
    const known = this.#begun.get(behind.grantId)
    const current = await known?.catch(() => undefined)
    if (current === behind && this.#begun.get(behind.grantId) === known) this.#begun.delete(behind.grantId)
  }

  /** Those of these grants that have begun. */
  async among(grants: ReadonlySet<string>): Promise<Behind[]> {
    const begun = [...this.#begun].flatMap(([grantId, behind]) => (grants.has(grantId) ? [behind] : []))
    const settled = await Promise.allSettled(begun)
    return settled.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
  }
}
