import { encodeBase64url } from '@bailiwick/credentials'
import { type DenialReason, isReserved } from '@bailiwick/errors'
import type { SpendView } from '@bailiwick/projection'
import type { Answer } from '../answer.ts'
import type { CallingPoint } from '../http/callers.ts'
import type { Allowing, Clocked, Judges, Logged, Signing, State } from '../ports.ts'
import { type Allow, allow, type Permitted } from '../record/allowed-event.ts'
import { permitOf } from '../record/permit.ts'
import type { Prepared } from '../shadow/shadow.ts'
import type { Because, Known } from '../steps/steps.ts'
import { type covered, durable, permitted, unused } from '../steps/table.ts'
import type { Outbid, Planned, TreeQueues, Work } from './tree-queue.ts'

/** A call that its grant covers. */
export type Question = Known<typeof covered> & {
  decisionId: string
  callId: string
  point: CallingPoint
  /** Whether the caller no longer waits for the answer. */
  isGone: (() => boolean) | undefined
}

export type DecisionPorts = Clocked & State & Judges & Allowing & Logged & Pick<Signing, 'permitKey'>

/** Answers the question in its tree's order, or denies it once the deadline has passed. */
export async function inTreeOrder(
  ports: DecisionPorts,
  queues: TreeQueues,
  question: Question,
  deadlineMs: number,
): Promise<Answer> {
  const { promise, resolve } = Promise.withResolvers<Answer>()
  const decision = new Decision(ports, queues, question, resolve)
  const timer = setTimeout(() => decision.late(), deadlineMs)
  try {
    queues.add(question.tree.id, decision)
    return await promise
  } finally {
    clearTimeout(timer)
  }
}

/** Steps 5 to 8, in the tree's order. */
class Decision implements Work {
  readonly #ports: DecisionPorts
  readonly #queues: TreeQueues
  readonly #question: Question
  readonly #answer: (answer: Answer) => void
  /** What was published last, and the facts that it is for. */
  #planned: { facts: Permitted; allow: Allow } | undefined
  #salt: string | undefined
  /** The question for a candidate policy set, asked once this decision is answered. */
  #shadow: Prepared | undefined
  #policySet: string | undefined
  #answered = false

  constructor(ports: DecisionPorts, queues: TreeQueues, question: Question, answer: (answer: Answer) => void) {
    this.#ports = ports
    this.#queues = queues
    this.#question = question
    this.#answer = answer
  }

  plan(view: SpendView): Planned | Outbid | undefined {
    if (this.#answered) return undefined
    const question = { ...this.#question, view }
    const first = unused.take(question, this.#ports)
    if (first.refused !== undefined) return this.#deny(first.refused)
    const judged = permitted.take(question, this.#ports)
    const { asked } = judged.facts
    this.#policySet = asked?.policySet
    this.#shadow = this.#ports.shadow.prepare(asked)
    if (judged.refused !== undefined) {
      const { refused, because } = judged
      return isReserved(refused) ? { outbid: refused } : this.#deny(refused, because)
    }
    const facts: Permitted = { ...this.#question, ...judged.facts }
    const allowed = allow(facts, () => this.#salted(), this.#ports)
    this.#planned = { facts, allow: allowed }
    const { labels, reservation } = facts
    return { draft: allowed.draft, take: { takeId: facts.decisionId, amounts: reservation.amounts, labels } }
  }

  #salted(): string {
    this.#salt ??= encodeBase64url(this.#ports.random(16))
    return this.#salt
  }

  recorded(): void {
    if (this.#planned === undefined) return
    const { facts, allow } = this.#planned
    const isGone = () => this.#answered || this.#question.isGone?.() === true
    const stands = durable.take({ ...facts, isGone }, this.#ports)
    if (stands.refused !== undefined) {
      this.#deny(stands.refused, stands.because)
      this.#abandon()
      return
    }
    const { decisionId, callId } = facts
    const permit = permitOf(facts, allow, this.#ports)
    const { outcomeDue, obligations, call, isKept } = allow
    if (isKept && call !== undefined) this.#ports.keptCalls?.keep(decisionId, call)
    this.#settle({ decision: true, decisionId, callId, ...permit, outcomeDue, obligations })
  }

  refused(reason: DenialReason): void {
    this.#deny(reason)
  }

  /** The decision may still turn out to count. The caller was not told ALLOW, so it is taken back if it does. */
  unsure(): void {
    this.#deny('evidence_unavailable')
    this.#abandon()
  }

  late(): void {
    this.#deny('deadline_exceeded')
  }

  #abandon(): void {
    const { decisionId, callId, tree } = this.#question
    this.#queues.abandonOnce(tree.id, decisionId, callId)
  }

  #deny(reason: DenialReason, because: Because = {}): undefined {
    const { decisionId, callId } = this.#question
    const policySet = this.#policySet
    const judged = policySet === undefined ? {} : { policySet }
    this.#settle({ decision: false, decisionId, callId, reason, ...judged, ...because })
    return undefined
  }

  #settle(answer: Answer): void {
    if (this.#answered) return
    this.#answered = true
    this.#answer(answer)
    // After the answer, so that a candidate's result cannot influence it.
    this.#ports.shadow.ask(answer.decisionId, this.#shadow)
  }
}
