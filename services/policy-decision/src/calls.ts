import { sha256 } from '@bailiwick/credentials'
import type { Answer } from './decide.ts'
import type { EvaluationRequest } from './evaluation-request.ts'
import { isToRepeat } from './next-action.ts'

const remembered = 50_000

/**
 * Answers by call id, so that a caller whose answer was lost may ask again (V10). An instance knows only its own. The answer
 * belongs to one credential and one action: an agent that repeats another's call id is not given the other's permit.
 */
export class Calls {
  readonly #answers = new Map<string, { asked: string; answer: Promise<Answer>; endsAt?: number }>()

  /**
   * The first answer for this id, or `conflict` when the id was used for something else; undefined: new here, or an ALLOW whose permit is
   * over at `now` (ms since the epoch). Before an ALLOW is given again, `whyNotAgain` is asked.
   */
  find(point: string, request: EvaluationRequest, now: number): Promise<Answer> | 'conflict' | undefined {
    const name = nameOf(point, request)
    const known = this.#answers.get(name)
    if (known?.endsAt !== undefined && !(now < known.endsAt)) this.#answers.delete(name)
    if (!known || !this.#answers.has(name)) return undefined
    return known.asked === askedBy(request) ? known.answer : 'conflict'
  }

  /** What was never answered, because the call was turned away unheard, and what was denied for now, may be asked as if it were new. */
  remember(point: string, request: EvaluationRequest, answer: Promise<Answer>): void {
    const name = nameOf(point, request)
    const entry: { asked: string; answer: Promise<Answer>; endsAt?: number } = { asked: askedBy(request), answer }
    this.#answers.set(name, entry)
    answer.then(
      (given) => {
        if (given.decision) entry.endsAt = given.permitEndsAt
        // No answer to keep: the same call comes back with the nonce, with a human's word, or a moment later.
        else if (isToRepeat(given.reason)) this.#answers.delete(name)
      },
      () => this.#answers.delete(name),
    )
    if (this.#answers.size > remembered) this.#answers.delete(this.#answers.keys().next().value ?? '')
  }
}

const nameOf = (point: string, { observed }: EvaluationRequest) => `${point} ${observed.call_id}`
const askedBy = ({ digest, observed }: EvaluationRequest) => `${digest} ${sha256(observed.credential ?? '')}`
