import {
  AuthZenPolicies,
  type PermitsNothing,
  type PolicySet,
  PolicySlot,
  readPolicyDirectory,
  readPolicyDirectoryAside,
  requirePermit,
} from '@bailiwick/policy'

/** A set that is asked for a while, whatever is loaded meanwhile. */
export interface HeldPolicies {
  policies: AuthZenPolicies
  /** Once. */
  release(): void
}

interface Loaded {
  policies: AuthZenPolicies
  slot: PolicySlot
  holders: number
}

/** The set that is active, of a directory that may be loaded again. */
export class ActivePlainPolicies {
  readonly #directory: string
  readonly #name: string
  readonly #meant: PermitsNothing
  /** Cedar forgets nothing but what is written over: a set is loaded where none is asked, and these are the places where none is. */
  readonly #free: PolicySlot[] = []
  #slots = 0
  #active: Loaded
  /** Settled once the last reload that began is over. */
  #reloading: Promise<unknown> = Promise.resolve()
  #next: Promise<string> | undefined

  /** `name`: of this instance alone. Throws `config_invalid`. */
  constructor(directory: string, name: string, meant: PermitsNothing = {}) {
    this.#directory = directory
    this.#name = name
    this.#meant = meant
    this.#active = this.#load(readPolicyDirectory(directory))
  }

  /** To be asked at once and not kept: after two reloads it denies everything. */
  current(): AuthZenPolicies {
    return this.#active.policies
  }

  /** The active set, which nothing is written over before it is released. */
  hold(): HeldPolicies {
    const held = this.#active
    held.holders++
    return {
      policies: held.policies,
      release: () => {
        held.holders--
        this.#leave(held)
      },
    }
  }

  /**
   * Everything or nothing: when it rejects (`config_invalid`), the set before is active as it was. Gives the hash of the new one. One at a
   * time, and whoever asks while one is under way is answered by the next, which reads what is there then.
   */
  reload(): Promise<string> {
    this.#next ??= this.#reloading.then(() => {
      this.#next = undefined
      return this.#loadAgain()
    })
    this.#reloading = this.#next.catch(() => undefined)
    return this.#next
  }

  async #loadAgain(): Promise<string> {
    const set = await readPolicyDirectoryAside(this.#directory)
    const before = this.#active
    this.#active = this.#load(set)
    this.#leave(before)
    return this.#active.policies.hash
  }

  #load(set: PolicySet): Loaded {
    requirePermit(set.policies.values(), this.#meant)
    const slot = this.#free.pop() ?? new PolicySlot(`${this.#name} ${++this.#slots}`)
    try {
      return { policies: new AuthZenPolicies(set, slot), slot, holders: 0 }
    } catch (error) {
      this.#free.push(slot)
      throw error
    }
  }

  #leave(loaded: Loaded): void {
    if (loaded !== this.#active && loaded.holders === 0) this.#free.push(loaded.slot)
  }
}
