/** How often one person is asked one by one, by all agents together. What is beyond comes in a digest. */
export const promptsPerHour = 20
const hourMs = 3600 * 1000
export const digestEveryMs = 15 * 60 * 1000

interface Waiting {
  /** Who could answer it. */
  to: readonly string[]
  /** Who was not told of it. */
  withheldFrom: Set<string>
}

/**
 * Who has been told of what waits (no approval fatigue): at most `promptsPerHour` prompts a person, and for all beyond one
 * digest each quarter of an hour. A person who is asked without end stops reading, which is what an attacker would want. Of
 * what others leave each asker has half: one that asks without end does not use up what the next one needs (V18).
 */
export class Prompts {
  readonly #waiting = new Map<string, Waiting>()
  /** Each person's newest prompts: when, ms since the epoch, and who asked; oldest first. */
  readonly #prompts = new Map<string, { at: number; from: string }[]>()
  #withheldIn: number | undefined

  /** Whom to tell, of those who could answer what `from` asks; the others learn of it by the digest. */
  ask(requestId: string, to: readonly string[], at: number, from: string): string[] {
    const told = to.filter((person) => this.#take(person, at, from))
    const withheldFrom = new Set(to.filter((person) => !told.includes(person)))
    this.#waiting.set(requestId, { to, withheldFrom })
    if (withheldFrom.size > 0) this.#withheldIn ??= quarterOf(at)
    return told
  }

  /** It was answered, or is over. Gives who knew of it: others need not hear of its end. */
  end(requestId: string): readonly string[] | undefined {
    const waiting = this.#waiting.get(requestId)
    this.#waiting.delete(requestId)
    return waiting?.to.filter((person) => !waiting.withheldFrom.has(person))
  }

  /** A start: what was withheld before is not told of again. */
  forgetWithheld(): void {
    this.#withheldIn = undefined
  }

  waits(requestId: string): boolean {
    return this.#waiting.has(requestId)
  }

  /**
   * Once the quarter of an hour in which something was withheld is over: who was not told of what, while it still waits, and
   * how many wait for that person in all. Empty when there is nothing to say.
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
