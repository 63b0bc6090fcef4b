import type { PolicyAnswer, PolicyRequest } from './policy-engine.ts'

/**
 * Answers of one set by the question, all of it as it is put to Cedar, which is pure: asked again, it would say the same. Of what one agent does with
 * one tool, only what its policies look at changes, and often that does not.
 */
export class RememberedAnswers {
  readonly #answers = new Map<string, PolicyAnswer>()
  readonly #most: number

  constructor(most = 4096) {
    this.#most = most
  }

  /** As `ask` answers this request, or did. Only answers are remembered: what could not be evaluated is tried again. */
  answer(request: PolicyRequest, ask: () => PolicyAnswer): PolicyAnswer {
    const name = nameOf(request)
    const known = name === undefined ? undefined : this.#answers.get(name)
    if (known) return known
    const answer = ask()
    if (name === undefined || answer.outcome === 'invalid' || answer.outcome === 'error') return answer
    Object.freeze(answer.policies)
    this.#answers.set(name, Object.freeze(answer))
    if (this.#answers.size > this.#most) this.#answers.delete(this.#answers.keys().next().value ?? name)
    return answer
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
