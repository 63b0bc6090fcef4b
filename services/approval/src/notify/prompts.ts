/** The limit on individual prompts to one person, from all agents together. Requests beyond that come in a digest. */
export const promptsPerHour = 20
const hourMs = 3600 * 1000
export const digestEveryMs = 15 * 60 * 1000

interface Waiting {
  /** The people who could answer it. */
  to: readonly string[]
  /** The people who were not told of it. */
  withheldFrom: Set<string>
}

/**
 * Remembers which people were told of which requests. To prevent approval fatigue, each person gets at most `promptsPerHour` prompts, and
 * one digest each quarter of an hour for all others. A person who is asked without end stops reading, which an attacker would want. Each
 * asker may use half of what the other askers leave: one that asks without end does not use up what the next one needs (V18).
 */
export class Prompts {
  readonly #waiting = new Map<string, Waiting>()
  /** Each person's newest prompts, oldest first: the time in ms since the epoch, and the asker. */
  readonly #prompts = new Map<string, { at: number; from: string }[]>()
  #withheldIn: number | undefined

  /** The people to tell now, of those who could answer `from`'s ask. The others learn of it from the digest. */
  ask(requestId: string, to: readonly string[], at: number, from: string): string[] {
    const told = to.filter((person) => this.#take(person, at, from))
    const withheldFrom = new Set(to.filter((person) => !told.includes(person)))
    this.#waiting.set(requestId, { to, withheldFrom })
    if (withheldFrom.size > 0) this.#withheldIn ??= quarterOf(at)
    return told
  }

  /** The request was answered, or is over. Returns the people who knew of it: others need not hear of its end. */
  end(requestId: string): readonly string[] | undefined {
    const waiting = this.#waiting.get(requestId)
    this.#waiting.delete(requestId)
    return waiting?.to.filter((person) => !waiting.withheldFrom.has(person))
  }

  /** Called at a start: requests that were withheld earlier are not announced again. */
  forgetWithheld(): void {
    this.#withheldIn = undefined
  }

  waits(requestId: string): boolean {
    return this.#waiting.has(requestId)
  }

  /**
   * Once the quarter of an hour in which something was withheld is over: for each person, how many requests that still wait were withheld,
   * and how many wait in all. Empty if there is nothing to say.
   */
  digest(now: number): { quarter: number; people: Map<string, { withheld: number; waiting: number }> } | undefined {
    const quarter = this.#withheldIn
    if (quarter === undefined || quarterOf(now) <= quarter) return undefined
    this.#withheldIn = undefined
    const people = new Map<string, { withheld: number; waiting: number }>()
    for (const { to, withheldFrom } of this.#waiting.values())
      for (const person of to) {
        const counted = people.get(person) ?? { withheld: 0, waiting: 0 }
        counted.waiting++
        if (withheldFrom.delete(person)) counted.withheld++
        people.set(person, counted)
      }
    for (const [person, { withheld }] of people) if (withheld === 0) people.delete(person)
    return { quarter, people }
  }

  #take(person: string, at: number, from: string): boolean {
    const recent = (this.#prompts.get(person) ?? []).filter((prompt) => prompt.at > at - hourMs)
    const own = recent.filter((prompt) => prompt.from === from).length
    const others = recent.length - own
    const may = own < (promptsPerHour - others) / 2
    if (may) recent.push({ at, from })
    this.#prompts.set(person, recent)
    return may
  }
}

const quarterOf = (ms: number) => Math.floor(ms / digestEveryMs)
