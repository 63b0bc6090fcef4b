/** Says why not, in a few words that anybody may read, or nothing when all is well. Answers at once, from what is known. */
export type Check = () => string | undefined

/** Failing checks by name, with the reason of each; empty when all is well. */
export type Failing = Readonly<Record<string, string>>

/**
 * What a service knows about itself. *Live* (`/healthz`) is false only when a restart would help; *ready* (`/readyz`) is
 * false whenever it should get no work now. A check that throws fails (V13); its error is not shown.
 */
export class Health {
  readonly #checks = new Map<string, { check: Check; liveness: boolean; gate: boolean }>()
  #stopping = false

  /**
   * Adds a check of readiness, with `liveness` also of liveness; with `gate` the process's servers answer nothing but health
   * and metrics while it fails (`service_standby`): another instance has to be asked. Throws when the name is taken: two services of one process
   * prefix theirs. The answer takes it off again.
   */
  check(name: string, check: Check, options: { liveness?: boolean; gate?: boolean } = {}): () => void {
    if (this.#checks.has(name)) throw new RangeError(`a second health check named ${name}`)
    this.#checks.set(name, { check, liveness: options.liveness ?? false, gate: options.gate ?? false })
    return () => void this.#checks.delete(name)
  }

  /** From here on the process is not ready, whatever its checks say; it does not come back. */
  stopping(): void {
    this.#stopping = true
  }

  liveness(): Failing {
    return this.#failing(({ liveness }) => liveness)
  }

  /** Why nothing is answered now. */
  gates(): Failing {
    return this.#failing(({ gate }) => gate)
  }

  readiness(): Failing {
    return { ...this.#failing(() => true), ...(this.#stopping ? { process: 'stopping' } : {}) }
  }

  #failing(counts: (which: { liveness: boolean; gate: boolean }) => boolean): Failing {
    const failing: [string, string][] = []
    for (const [name, which] of this.#checks) {
      if (!counts(which)) continue
      const reason = answer(which.check)
      if (reason !== undefined) failing.push([name, reason])
    }
    return Object.fromEntries(failing)
  }
}

function answer(check: Check): string | undefined {
  try {
    return check()
  } catch {
    return 'the check failed'
  }
}
