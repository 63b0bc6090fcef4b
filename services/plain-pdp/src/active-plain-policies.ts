import {
  AuthZenPolicies,
  type EngineWatch,
  type PermitsNothing,
  type PolicySet,
  PolicySlot,
  readPolicyDirectory,
  readPolicyDirectoryAside,
  requirePermit,
} from '@bailiwick/policy'

/** A set that stays usable until released, even if another is loaded meanwhile. */
export interface HeldPolicies {
  policies: AuthZenPolicies
  /** Call it once. */
  release(): void
}

interface Loaded {
  policies: AuthZenPolicies
  slot: PolicySlot
  holders: number
}

/** The active set of a directory that may be reloaded. */
export class ActivePlainPolicies {
  readonly #directory: string
  readonly #name: string
  readonly #meant: PermitsNothing
  readonly #watch: EngineWatch | undefined
  /** The slots without a set in use. Cedar forgets a set only when another overwrites it, so a new set is loaded into one of these. */
  readonly #free: PolicySlot[] = []
  #slots = 0
  #active: Loaded
  /** Settled once the last reload that began is over. */
  #reloading: Promise<unknown> = Promise.resolve()
  #next: Promise<string> | undefined

  /** `name`: unique to this instance. With `watch`, compiled policies answer what they can. Throws `config_invalid`. */
  constructor(directory: string, name: string, meant: PermitsNothing = {}, watch?: EngineWatch) {
    this.#directory = directory
    this.#name = name
    this.#meant = meant
    this.#watch = watch
    this.#active = this.#load(readPolicyDirectory(directory))
  }

  /** Use the set at once and do not keep it: after two reloads it denies everything. */
  current(): AuthZenPolicies {
    return this.#active.policies
  }

  /** The active set, which is not overwritten before it is released. */
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
   * Reloads everything or nothing: if it rejects (`config_invalid`), the previous set stays active. Resolves to the hash of the new set.
   * Reloads run one at a time. A call during a reload is answered by the next one, which reads the directory as it is then.
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
      return { policies: new AuthZenPolicies(set, slot, this.#watch), slot, holders: 0 }
    } catch (error) {
      this.#free.push(slot)
      throw error
    }
  }

  #leave(loaded: Loaded): void {
    if (loaded !== this.#active && loaded.holders === 0) this.#free.push(loaded.slot)
  }
}
