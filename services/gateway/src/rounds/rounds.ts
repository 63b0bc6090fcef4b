import { longestRoundsMs } from '@bailiwick/contracts'
import { type Action, actionText, hasAnswers, jcs, sha256, withoutAnswers } from '@bailiwick/credentials'
import type { Clock } from '@bailiwick/kit'
import type { AskedBack } from '@bailiwick/mcp'
import type { Permitted, Refusal, Round } from '@bailiwick/pep'
import type { Refused, Relayed } from '@bailiwick/relay'

/** The decision point does not know the round, or the call continued elsewhere, so this round never continues. */
const isOver: ReadonlySet<string> = new Set(['round_invalid', 'round_used'])

/** Calls of one conversation that wait for answers. The oldest is forgotten first. */
const most = 16

/** A call that its server answered with questions. */
export interface OpenRound {
  /** Its action without answers, and the server's state, as one text: the answers must come with both. */
  readonly key: string
  readonly round: Round
}

type Decided = Relayed | Refusal | Refused

/**
 * The calls of one conversation that its server answered with questions (`input_required`). A call with answers goes on with such a call if
 * it has the same arguments and the same state, in time, and counts as no further call. A call with any other answers is a call of its own.
 */
export class Rounds {
  readonly #clock: Pick<Clock, 'now'>
  #open: OpenRound[] = []

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock
  }

  /** A permitted call was answered with questions. Undefined if it does not go on as one call: it began with answers itself. */
  open({ round, action }: Pick<Permitted, 'round' | 'action'>, { state }: AskedBack): OpenRound | undefined {
    if (round === undefined) return undefined
    const open = { key: keyOf(action, state), round }
    this.#put(open)
    return open
  }

  forget(open: OpenRound): void {
    this.#open = this.#open.filter((each) => each !== open)
  }

  /**
   * Decides and runs a call, as a further round if it brings the answers that a round waits for. A round goes on once. If the call is
   * denied, the round waits for the answers again, unless it never goes on: the next call with these answers is then one of its own.
   */
  async goOn(action: Action | undefined, decide: (continues: Round | undefined) => Promise<Decided>): Promise<Decided> {
    const key = action !== undefined && hasAnswers(action) ? keyOf(action, action.properties.requestState) : undefined
    const began = this.#clock.now() - longestRoundsMs
    this.#open = this.#open.filter(({ round }) => round.since >= began)
    const found = this.#open.find((each) => each.key === key)
    if (found === undefined) return decide(undefined)
    this.forget(found)
    const decided = await decide(found.round)
    const isAllowed = 'allowed' in decided && decided.allowed
    if (!isAllowed && !('reason' in decided && isOver.has(decided.reason))) this.#put(found)
    return decided
  }

  #put(open: OpenRound): void {
    this.#open = [...this.#open, open].slice(-most)
  }
}

const keyOf = (action: Action, state: unknown) => sha256(jcs([actionText(withoutAnswers(action)), state ?? null]))
