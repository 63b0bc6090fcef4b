/** Returns the reason for a failure, in a few words that may be public, or nothing when all is well. Answers at once, from known state. */
export type Check = () => string | undefined

/** Failing checks by name, each with its reason. Empty when all is well. */
export type Failing = Readonly<Record<string, string>>

/**
 * A service's knowledge of its own health. *Live* (`/healthz`) is false only when a restart would help. *Ready* (`/readyz`) is
 * false whenever the service should get no work now. A check that throws counts as failed (V13); its error is not shown.
 */
export class Health {
  readonly #checks = new Map<string, { check: Check; liveness: boolean; gate: boolean }>()
  #stopping = false

  /**
   * Adds a check of readiness, and with `liveness` also of liveness. While a check with `gate` fails, the process's servers answer nothing
   * but health and metrics (`service_standby`), and callers must ask another instance. Throws when the name is taken: two services of
   * one process prefix their names. Returns a function that removes the check.
   */
  check(name: string, check: Check, options: { liveness?: boolean; gate?: boolean } = {}): () => void {
    if (this.#checks.has(name)) throw new RangeError(`a second health check named ${name}`)
    this.#checks.set(name, { check, liveness: options.liveness ?? false, gate: options.gate ?? false })
    return () => void this.#checks.delete(name)
  }

  /** From here on the process is not ready, even if its checks pass. It never becomes ready again. */
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
