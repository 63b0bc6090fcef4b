import { AuthZenPolicies, PolicySlot, readPolicyDirectory } from '@bailiwick/policy'

/** The set that is active, of a directory that may be loaded again. */
export class ActivePlainPolicies {
  readonly #directory: string
  /** Cedar forgets nothing but what is written over: a set is loaded beside the active one, never over it. */
  #spare: PolicySlot
  #used: PolicySlot
  #active: AuthZenPolicies

  /** `name`: of this instance alone. Throws `config_invalid`, as does `reload`. */
  constructor(directory: string, name: string) {
    this.#directory = directory
    this.#used = new PolicySlot(`${name} a`)
    this.#spare = new PolicySlot(`${name} b`)
    this.#active = this.#load(this.#used)
  }

  /** To be asked at once and not kept: after two reloads it denies everything. */
  current(): AuthZenPolicies {
    return this.#active
  }

  /** Everything or nothing: when it throws, the set before is active as it was. Gives the hash of the new one. */
  reload(): string {
    this.#active = this.#load(this.#spare)
    const used = this.#used
    this.#used = this.#spare
    this.#spare = used
    return this.#active.hash
  }

  #load(slot: PolicySlot): AuthZenPolicies {
    return new AuthZenPolicies(readPolicyDirectory(this.#directory), slot)
  }
}
