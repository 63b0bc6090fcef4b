import type { PolicyAnswer, PolicyRequest, Purpose } from './policy-engine.ts'

/**
 * Caches the answers of one set by the complete question put to Cedar. Cedar is pure, so it would give the same answer again. Of one
 * agent's calls to one tool, only what its policies read matters, and often that does not change. The entry unused for longest is evicted
 * first.
 */
export class RememberedAnswers {
  readonly #answers = new Map<string, PolicyAnswer>()
  readonly #most: number

  constructor(most = 4096) {
    this.#most = most
  }

  /**
   * Returns the answer that `ask` gives for this request, or gave earlier. Only answers are remembered: a failed evaluation is tried again.
   * A search asks about everything there is, so it leaves what decisions remember unchanged (V18).
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

/** Without a size limit, this many questions would exceed memory. */
const longestName = 16_384

/** Two different questions never have the same name; undefined if JSON cannot express the question, or its name is too long to keep. */
function nameOf(request: PolicyRequest): string | undefined {
  const { principal, action, resource, context, entities } = request
  try {
    const name = JSON.stringify([principal, action, resource, context, entities ?? null], exactly)
    return name.length > longestName ? undefined : name
  } catch {
    return undefined
  }
}

/** Values that JSON would leave out or write as null. */
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
