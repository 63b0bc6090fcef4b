import type { Answer } from './decide.ts'

const remembered = 50_000

/** Answers by call id, so that a caller whose answer was lost may ask again (V10). An instance knows only its own. */
export class Calls {
  readonly #answers = new Map<string, { digest: string | undefined; answer: Promise<Answer> }>()

  /** The first answer for this id, or `conflict` when the id was used for another action; undefined: new here. */
  find(point: string, callId: string, digest: string | undefined): Promise<Answer> | 'conflict' | undefined {
    const known = this.#answers.get(`${point} ${callId}`)
    if (!known) return undefined
    return known.digest === digest ? known.answer : 'conflict'
  }

  remember(point: string, callId: string, digest: string | undefined, answer: Promise<Answer>): void {
    this.#answers.set(`${point} ${callId}`, { digest, answer })
    if (this.#answers.size > remembered) this.#answers.delete(this.#answers.keys().next().value ?? '')
  }
}
