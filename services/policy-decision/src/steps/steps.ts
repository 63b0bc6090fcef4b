import type { DenialReason } from '@bailiwick/errors'
import type { Duties } from '@bailiwick/policy'

/** The effect that a human's yes must have: let this action through, or also let a lapsed task go on. */
export type StepUpNeeds = 'action' | 'task'

/** What a denial tells beside its reason. */
export interface Because {
  /** The policies that the denial is for. */
  policies?: readonly string[]
  /** Duties that apply although the action is denied. */
  duties?: Duties
  /** For a step-up. */
  needs?: StepUpNeeds
}

export interface Refusal {
  refused: DenialReason
  because?: Because | undefined
}

/** What a step says of the facts: a refusal, or the facts that it found for the steps after it. */
export type Verdict<Found extends object | undefined = undefined> = Refusal | Found

export const refuse = (refused: DenialReason, because?: Because): Refusal => ({ refused, because })

/** What the steps of a list say. If one refused, `facts` has what the steps before it found. */
export type Outcome<Known> =
  | { refused: undefined; facts: Known }
  | { refused: DenialReason; because: Because; facts: Partial<Known> }

/** The facts with which a list ends. */
export type Known<List> = List extends Steps<never, never, infer Facts, Pace> ? Facts : never

type Pace = 'at once' | 'waits'
type With<Facts, Found> = Found extends object ? Facts & Found : Facts
type AnyStep = (facts: object, ports: unknown) => Verdict<object | undefined> | Promise<Verdict<object | undefined>>

const nothing: Because = {}

/**
 * Steps of a decision, in their order: the first refusal wins. Each step reads facts, and ports (`ports.ts`), and finds further facts. A
 * list compiles only if each fact that a step reads was given, or found by a step before it.
 */
export class Steps<in Given extends object, in Ports, out Facts, out P extends Pace> {
  readonly #steps: readonly AnyStep[]
  declare readonly pace: P

  private constructor(steps: readonly AnyStep[]) {
    this.#steps = steps
  }

  static from<Given extends object>(): Steps<Given, unknown, Given, 'at once'> {
    return new Steps([])
  }

  /** The same steps for callers that know more. */
  given<More extends object>(): Steps<Given & More, Ports, Facts & More, P> {
    return this as never
  }

  step<More, Found extends object | undefined>(
    next: (facts: Facts, ports: More) => Verdict<Found>,
  ): Steps<Given, Ports & More, With<Facts, Found>, P> {
    return this.#and(next as never)
  }

  /** A step that may have to wait. */
  waits<More, Found extends object | undefined>(
    next: (facts: Facts, ports: More) => Promise<Verdict<Found>>,
  ): Steps<Given, Ports & More, With<Facts, Found>, 'waits'> {
    return this.#and(next as never)
  }

  #and(next: AnyStep): never {
    return new Steps([...this.#steps, next]) as never
  }

  /** Synchronous, so nothing changes between one step and the next. */
  take(this: Steps<Given, Ports, Facts, 'at once'>, given: Given, ports: Ports): Outcome<Facts> {
    const facts = { ...given }
    for (const step of this.#steps) {
      const said = step(facts, ports) as Verdict<object | undefined>
      if (said === undefined) continue
      if ('refused' in said) return refusalOf(said, facts)
      Object.assign(facts, said)
    }
    return { refused: undefined, facts: facts as never }
  }

  async takeWaiting(given: Given, ports: Ports): Promise<Outcome<Facts>> {
    const facts = { ...given }
    for (const step of this.#steps) {
      const answer = step(facts, ports)
      const said = answer instanceof Promise ? await answer : answer
      if (said === undefined) continue
      if ('refused' in said) return refusalOf(said, facts)
      Object.assign(facts, said)
    }
    return { refused: undefined, facts: facts as never }
  }
}

const refusalOf = ({ refused, because = nothing }: Refusal, facts: object) => ({ refused, because, facts })
