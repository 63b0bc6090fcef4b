import type { PolicyAnswer, PolicyRequest, Purpose } from './policy-engine.ts'

/**
 * Answers of one set by the question, all of it as it is put to Cedar, which is pure: asked again, it would say the same. Of what one agent does with
 * one tool, only what its policies look at changes, and often that does not. The longest unused goes first.
 */
export class RememberedAnswers {
  readonly #answers = new Map<string, PolicyAnswer>()
  readonly #most: number

  constructor(most = 4096) {
    this.#most = most
  }

  /**
   * As `ask` answers this request, or did. Only answers are remembered: what could not be evaluated is tried again. A search asks about
   * whatever there is, and leaves what decisions remember as it was (V18).
   */
  answer(request: PolicyRequest, ask: () => PolicyAnswer, purpose: Purpose): PolicyAnswer {
    const name = nameOf(request)
    if (name === undefined) return ask()
    const known = this.#answers.get(name)
    if (known) {
      if (purpose === 'decision') this.#put(name, known)
      return known
    }
    const answer = ask()
    if (answer.outcome === 'invalid' || answer.outcome === 'error') return answer
    if (purpose === 'search') return answer
    Object.freeze(answer.policies)
    this.#put(name, Object.freeze(answer))
    if (this.#answers.size > this.#most) this.#answers.delete(this.#answers.keys().next().value ?? name)
    return answer
  }

  #put(name: string, answer: PolicyAnswer): void {
    this.#answers.delete(name)
    this.#answers.set(name, answer)
  }
}

/** So many questions of any size would be more than there is memory for. */
const longestName = 16_384

/** Two questions never have one name; undefined for one that JSON has no name for, or none that is short enough to keep. */
function nameOf(request: PolicyRequest): string | undefined {
  const { principal, action, resource, context, entities } = request
  try {
    const name = JSON.stringify([principal, action, resource, context, entities ?? null], exactly)
    return name.length > longestName ? undefined : name
  } catch {
    return undefined
  }
}

/** What JSON would leave out or write as null. */
function exactly(_: string, value: unknown): unknown {
  if (
    value === undefined ||
    typeof value === 'function' ||
    typeof value === 'symbol' ||
    (typeof value === 'number' && !Number.isFinite(value))
  )
    throw new TypeError('no value of JSON')
  return value
}
