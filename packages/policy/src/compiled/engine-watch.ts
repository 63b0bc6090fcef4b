import type { PolicyAnswer } from '../policy-engine.ts'
import type { NotAnswered } from './compiled-policies.ts'

/** Why Cedar answered instead of the compiled engine. `switched_off`: the two differed about this set before. */
export type CedarAnswered = NotAnswered | 'switched_off'

/** An answer of the compiled engine that Cedar does not give. */
export interface EngineDifference {
  /** The hash of the set. */
  policySet: string
  compiled: PolicyAnswer
  cedar: PolicyAnswer
}

/** Takes reports about the two engines of a decision point. None of them names a request: a request may hold secrets (V17). */
export interface EngineTold {
  /** An answer was given. */
  answered(by: 'compiled' | 'cedar', why: CedarAnswered | ''): void
  /** An answer was compared with Cedar's. `failed`: Cedar could not be asked. */
  compared(result: 'same' | 'different' | 'failed'): void
  different(difference: EngineDifference): void
}

/**
 * Compares some answers of the compiled engine with Cedar's, in production. Give it to everything of one process that decides: a set about
 * which the engines differed once is decided by Cedar from then on, also after it was loaded again.
 */
export class EngineWatch {
  readonly told: EngineTold
  readonly #isCompared: () => boolean
  readonly #later: (compare: () => void) => void
  readonly #off = new Set<string>()

  /** `isCompared`: whether the next answer is compared, as `oneIn` says. `later`: runs the comparison once the answer was sent. */
  constructor(told: EngineTold, isCompared: () => boolean, later: (compare: () => void) => void) {
    this.told = told
    this.#isCompared = isCompared
    this.#later = later
  }

  isOff(policySet: string): boolean {
    return this.#off.has(policySet)
  }

  /** Call it for each decision. `cedar`: Cedar's answer to the same question; undefined: it can no longer be asked. */
  decided(policySet: string, compiled: PolicyAnswer, cedar: () => PolicyAnswer | undefined): void {
    if (this.#isCompared()) this.#later(() => this.#compare(policySet, compiled, askedLater(cedar)))
  }

  #compare(policySet: string, compiled: PolicyAnswer, cedar: PolicyAnswer | undefined | 'failed'): void {
    if (cedar === undefined) return
    if (cedar === 'failed') {
      this.told.compared(cedar)
      return
    }
    const isSame = cedar.outcome === compiled.outcome && isSameList(policiesOf(cedar), policiesOf(compiled))
    this.told.compared(isSame ? 'same' : 'different')
    if (isSame) return
    this.#off.add(policySet)
    this.told.different({ policySet, compiled, cedar })
  }
}

/** No caller waits any more who could be told of an error, which would end the process: Cedar may give up as it makes a slice. */
function askedLater(cedar: () => PolicyAnswer | undefined): PolicyAnswer | undefined | 'failed' {
  try {
    return cedar()
  } catch {
    return 'failed'
  }
}

const policiesOf = (answer: PolicyAnswer): readonly string[] => ('policies' in answer ? answer.policies : [])

const isSameList = (a: readonly string[], b: readonly string[]) =>
  a.length === b.length && a.every((id, n) => id === b[n])
