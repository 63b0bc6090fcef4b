import { sha256 } from '@bailiwick/credentials'
import { OwnedEntries } from '@bailiwick/kit'
import type { Answer } from '../answer.ts'
import type { CallingPoint } from '../http/callers.ts'
import type { EvaluationRequest } from '../http/evaluation-request.ts'
import { isToRepeat } from '../record/next-action.ts'

/** ALLOWs count against their agent, since a retry must find them. All other answers count against their enforcement point. */
const remembered = { max: 50_000, maxEach: 10_000 }

interface Remembered {
  asked: string
  /** The instance of the enforcement point that asked. */
  instance: string | undefined
  answer: Promise<Answer>
  /** For each request that waits for the answer, whether its caller has gone; empty once there is an answer. */
  waiting: IsGone[]
  isAnswered?: true
  isDenied?: true
  endsAt?: number
}

type IsGone = () => boolean

/**
 * Answers by call id, so that a caller whose answer was lost may ask again (V10). An instance knows only its own answers. An answer
 * belongs to one credential and one action: an agent that repeats another's call id is not given the other's permit. An answer also
 * belongs to one instance of the enforcement point: two processes with one permit would each use it.
 */
export class Calls {
  readonly #answers = new OwnedEntries<Remembered>(remembered)

  /**
   * The first answer for this id; `conflict` if the id was used for something else; `elsewhere` if another instance asked and was not
   * denied; undefined if the id is new here, or is an ALLOW whose permit has expired at `now` (ms since the epoch). Call `whyNotAgain`
   * before giving an ALLOW again. A request that finds the call being decided waits for it as well; the call is given up once all its
   * callers have gone.
   */
  find(
    point: Pick<CallingPoint, 'id' | 'instance'>,
    request: EvaluationRequest,
    now: number,
    isGone: IsGone = () => false,
  ): Promise<Answer> | 'conflict' | 'elsewhere' | undefined {
    const name = nameOf(point, request)
    const known = this.#answers.get(name)
    if (known === undefined) return undefined
    if (known.endsAt !== undefined && !(now < known.endsAt)) {
      this.#answers.delete(name)
      return undefined
    }
    if (known.asked !== askedBy(request)) return 'conflict'
    if (known.instance !== point.instance && !known.isDenied) return 'elsewhere'
    if (!known.isAnswered) known.waiting.push(isGone)
    return known.answer
  }

  /**
   * Decides, and remembers the answer. `decide` can ask whether all callers that wait for the answer have gone. A call that was refused
   * without a decision, or denied only for now, may be asked again as if it were new.
   */
  decide(
    point: Pick<CallingPoint, 'id' | 'instance'>,
    request: EvaluationRequest,
    decide: (areGone: IsGone) => Promise<Answer>,
    isGone: IsGone = () => false,
  ): Promise<Answer> {
    const name = nameOf(point, request)
    const waiting = [isGone]
    const answer = decide(() => waiting.every((each) => each()))
    const entry: Remembered = { asked: askedBy(request), instance: point.instance, answer, waiting }
    // The agent's name is proved only once the call is allowed: any caller can write a name.
    this.#answers.set(`point ${point.id}`, name, entry)
    answer.then(
      (given) => {
        entry.isAnswered = true
        waiting.length = 0
        if (given.decision) {
          entry.endsAt = given.permitEndsAt
          this.#answers.set(`agent ${request.subject.id}`, name, entry)
        }
        // Do not keep this answer: the same call comes back with the nonce, with a human's approval, or a moment later.
        else if (isToRepeat(given.reason)) this.#answers.delete(name)
        else entry.isDenied = true
      },
      () => this.#answers.delete(name),
    )
    return answer
  }
}

const nameOf = ({ id }: Pick<CallingPoint, 'id'>, { observed }: EvaluationRequest) => `${id} ${observed.call_id}`
const askedBy = ({ digest, observed }: EvaluationRequest) => `${digest} ${sha256(observed.credential ?? '')}`
