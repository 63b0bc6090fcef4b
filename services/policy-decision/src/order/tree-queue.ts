import type { DenialReason, ErrorCode } from '@bailiwick/errors'
import { errorCode, ServiceError } from '@bailiwick/errors'
import type { Draft } from '@bailiwick/instance'
import { withDeadline } from '@bailiwick/kit'
import { change, type DecisionFacts, type Fact, type SpendView, tentative } from '@bailiwick/projection'
import type { Recording } from '../ports.ts'
import { halvesOf } from './halves.ts'
import { type OrderPorts, StoreOrder, type Wanted } from './store-order.ts'

/** One event to be placed in a tree's order: a decision, an outcome, an abandonment. */
export interface Work {
  /**
   * Evaluates itself on the tree as it will be. Returns what to publish, or settles itself and returns undefined. Synchronous.
   * `Outbid` is not settled yet: it is planned again if another call gives something back, and refused otherwise.
   */
  plan(view: SpendView): Planned | Outbid | undefined
  /** The event counts. */
  recorded(): void
  /**
   * The event was refused after planning, and nothing counts. It was outbid, the grant store refused it, it is too large for an event,
   * or the tree changed three times.
   */
  refused(reason: DenialReason): void
  /** The event may or may not count. */
  unsure(error: unknown): void
  /** Takes back an ALLOW that was never answered. It goes first, since others wait for what it gives back. */
  givesBack?: true
}

export interface Planned {
  draft: Draft<'decisions.v1'>
  /** For a decision: the amounts to take from the grant store. */
  take?: Wanted
}

/** Too little is left for a decision, because other calls hold the rest. */
export interface Outbid {
  outbid: DenialReason
}

const longestBatch = 128
const longestQueue = 2048
const tries = 3

/** The pause before an abandonment that failed is tried again, in ms. */
const givenBackAgainMs = 500

/**
 * Puts a tree's events in one order, so that many decisions share one durable write. It gathers the events that arrive while the last
 * batch is on its way, and evaluates each on the state that the earlier ones leave. It numbers them consecutively and publishes them
 * together. An event that turns out void, because another instance was first, is evaluated again on the new state.
 */
export class TreeQueues {
  readonly #ports: OrderPorts & Recording
  readonly #queues = new Map<string, Work[]>()
  readonly #draining = new Set<Promise<void>>()
  /** Decisions that were never answered and may still turn out to count, by id. */
  readonly #unanswered = new Map<string, { root: string; callId: string }>()

  constructor(ports: OrderPorts & Recording) {
    this.#ports = ports
  }

  /** Takes back an ALLOW that was never answered: now if it already counts, otherwise as soon as it does. */
  abandonOnce(root: string, decisionId: string, callId: string): void {
    const record = this.#ports.projection.ledger.decisions.trees.get(root)?.allows.get(decisionId)
    if (record?.standing === 'open') {
      this.#giveBack(root, decisionId, callId)
      return
    }
    if (this.#unanswered.size >= longestQueue) this.#unanswered.delete(this.#unanswered.keys().next().value ?? '')
    this.#unanswered.set(decisionId, { root, callId })
  }

  onFact({ topic, verdict, event }: Fact): void {
    if (topic !== 'decisions.v1' || event.type !== 'decision.allowed' || verdict !== 'counts') return
    const { decision_id } = event.data
    const unanswered = this.#unanswered.get(decision_id)
    if (!unanswered) return
    this.#unanswered.delete(decision_id)
    this.#giveBack(unanswered.root, decision_id, unanswered.callId)
  }

  #giveBack(root: string, decisionId: string, callId: string): void {
    // Neither an outage of the bus nor other instances that are first may cost budget: then it is taken back later.
    const again = () => void setTimeout(() => this.#giveBack(root, decisionId, callId), givenBackAgainMs).unref()
    this.#addFirst(root, abandonment(root, decisionId, { callId, again }))
  }

  /** The number of waiting events, over all trees. */
  get length(): number {
    return [...this.#queues.values()].reduce((sum, queue) => sum + queue.length, 0)
  }

  /** Throws `queue_full`. */
  add(root: string, work: Work): void {
    const queue = this.#queues.get(root)
    if (queue) {
      if (queue.length >= longestQueue) throw new ServiceError('queue_full', 'too many calls of this task are waiting')
      queue.push(work)
      return
    }
    this.#queues.set(root, [work])
    const draining = this.#drain(root).finally(() => this.#draining.delete(draining))
    this.#draining.add(draining)
  }

  /** For the stop: resolves once nothing waits, what is taken back included, or after `ms`: a bus that is away holds up no stop. */
  async settled(ms: number): Promise<void> {
    const settle = async () => {
      while (this.#draining.size > 0) await Promise.all(this.#draining)
    }
    await withDeadline(settle(), ms).catch(() => undefined)
  }

  /** For work that no caller waits for and that the next sweep finds again. */
  addIfRoom(root: string, work: Work): void {
    if ((this.#queues.get(root)?.length ?? 0) < longestQueue) this.add(root, work)
  }

  /** Needs no bound: each ALLOW adds at most one. */
  #addFirst(root: string, work: Work): void {
    const queue = this.#queues.get(root)
    if (queue) queue.unshift(work)
    else this.add(root, work)
  }

  async #drain(root: string): Promise<void> {
    await undefined // calls that arrive in the same turn share the first batch
    for (let queue = this.#queues.get(root); queue && queue.length > 0; ) {
      // Events that give something back must count before others are planned: the grant store learns of them only from the log.
      const givenBack = queue.findIndex(({ givesBack }) => !givesBack)
      const batch = queue.splice(0, givenBack > 0 ? givenBack : longestBatch)
      // A batch that fails must not stop the next one.
      await this.#batch(root, batch).catch((error) => {
        this.#ports.logger.error({ err: error, tree: root }, 'a batch of decisions failed')
        for (const work of batch) work.unsure(error)
      })
    }
    this.#queues.delete(root)
  }

  async #batch(root: string, batch: readonly Work[]): Promise<void> {
    let left = batch
    for (let tried = 0; left.length > 0; ) {
      if (tried === tries) {
        for (const work of left) work.refused('state_contended')
        return
      }
      const { again, contended } = await this.#attempt(root, left)
      left = again
      // A wait for another instance, as the store advised, does not count as a try: each wait ends, and each waiting call has a deadline.
      if (contended) tried++
    }
  }

  /** Returns what has to be evaluated again, and whether the log itself is the reason. */
  async #attempt(root: string, batch: readonly Work[]): Promise<{ again: Work[]; contended: boolean }> {
    const { decisions } = this.#ports.projection.ledger
    const view = tentative(decisions.trees.get(root))
    const order = new StoreOrder(this.#ports, root, view.version)
    const planned: { work: Work; draft: Draft<'decisions.v1'> }[] = []
    const again: Work[] = []
    const outbid: { work: Work; reason: DenialReason }[] = []
    // The view reads through to the ledger, which events of other instances may change while the store is asked.
    const isOvertaken = () => (decisions.trees.get(root)?.version ?? 0) !== begun
    const begun = view.version
    let overtaken = false
    for (const work of batch) {
      const plan = this.#planSafely(root, work, view)
      if (!plan) continue
      if ('outbid' in plan) {
        outbid.push({ work, reason: plan.outbid })
        continue
      }
      const version = view.version + 1
      const taken = plan.take ? await order.take(plan.take, version) : 'taken'
      if (taken === 'again') again.push(work)
      else if (taken !== 'taken') work.refused(taken)
      else {
        const draft = placed(plan.draft, { id: this.#ports.newEventId(), key: root, version, after: view.head })
        const time = new Date(this.#ports.clock.now()).toISOString()
        if (!change(view, { type: draft.type, data: draft.data, time } as DecisionFacts)) {
          if (isOvertaken()) {
            overtaken = true
            again.push(work)
            continue
          }
          this.#ports.logger.error({ tree: root, type: draft.type }, 'what was planned does not fit its tree')
          work.refused('internal')
          continue
        }
        view.version = version
        view.head = draft.id
        planned.push({ work, draft })
      }
    }
    const losers = () => outbid.map(({ work }) => work)
    if (overtaken) order.forget()
    if (planned.length === 0) {
      if (overtaken) return { again: [...again, ...losers()], contended: true }
      this.#refuseOutbid(root, outbid)
      return { again, contended: false }
    }
    const verdicts = await this.#record(planned, order)
    if (verdicts === 'unsure') {
      this.#refuseOutbid(root, outbid)
      return { again, contended: false }
    }
    if (verdicts === 'too large') {
      order.forget()
      await this.#apart(root, planned)
      return { again: [...again, ...losers()], contended: false }
    }
    for (const [n, { work }] of planned.entries()) {
      if (verdicts[n] === 'counts') tellSafely(work)
      else again.push(work)
    }
    const contended = overtaken || planned.some((_, n) => verdicts[n] !== 'counts')
    if (!contended) {
      this.#refuseOutbid(root, outbid)
      return { again, contended }
    }
    order.forget()
    return { again: [...again, ...losers()], contended }
  }

  /**
   * Refuses the calls that lost to other calls of their batch, once those are answered. An ALLOW that came too late for its caller is
   * given back. The calls that lost to it wait for that, within their own deadlines.
   */
  #refuseOutbid(root: string, outbid: readonly { work: Work; reason: DenialReason }[]): void {
    const queue = this.#queues.get(root) ?? []
    const givenBack = queue.findLastIndex(({ givesBack }) => givesBack)
    if (givenBack >= 0) queue.splice(givenBack + 1, 0, ...outbid.map(({ work }) => work))
    else for (const { work, reason } of outbid) work.refused(reason)
  }

  /** Nothing of the batch was published. An oversized event fails alone. */
  async #apart(root: string, planned: readonly { work: Work }[]): Promise<void> {
    if (planned.length === 1) planned[0]?.work.refused('request_too_large')
    else
      for (const half of halvesOf(planned))
        await this.#batch(
          root,
          half.map(({ work }) => work),
        )
  }

  #planSafely(root: string, work: Work, view: SpendView): Planned | Outbid | undefined {
    try {
      return work.plan(view)
    } catch (err) {
      this.#ports.logger.error({ err, tree: root }, 'a decision could not be evaluated')
      work.refused('internal')
      return undefined
    }
  }

  async #record(
    planned: readonly { work: Work; draft: Draft<'decisions.v1'> }[],
    order: StoreOrder,
  ): Promise<string[] | 'unsure' | 'too large'> {
    try {
      const published = await this.#ports.record(planned.map(({ draft }) => draft))
      return published.map(({ verdict }) => verdict)
    } catch (error) {
      if (errorCode(error) === 'event_too_large') return 'too large'
      // No event was numbered, so only the grant store knows what was taken from it.
      if (errorCode(error) === 'bus_unavailable') order.forget()
      for (const { work } of planned) work.unsure(error)
      return 'unsure'
    }
  }
}

/** A second event for one decision is void, so it may be published again where the first is not known to count. */
const passing: ReadonlySet<ErrorCode> = new Set(['bus_unavailable', 'outcome_unknown'])

function abandonment(root: string, decisionId: string, { callId, again }: { callId: string; again: () => void }): Work {
  return {
    givesBack: true,
    plan: (view) =>
      view.allows.get(decisionId)?.standing === 'open'
        ? {
            draft: {
              type: 'decision.abandoned',
              subject: decisionId,
              data: { decision_id: decisionId, grant_id: root, call_id: callId },
            },
          }
        : undefined,
    // If it fails for another reason, the decision stays open and is settled in full when its outcome is missed.
    recorded: () => undefined,
    refused: (reason) => {
      if (reason === 'state_contended') again()
    },
    unsure: (error) => {
      if (passing.has(errorCode(error))) again()
    },
  }
}

interface Place {
  id: string
  key: string
  version: number
  /** The event that this one was evaluated after. If that one turns out void, this one is void too (V9). */
  after: string
}

function placed({ data, ...draft }: Draft<'decisions.v1'>, { after, ...place }: Place) {
  const named = after === '' ? data : { ...data, after }
  return { ...draft, ...place, data: named } as Draft<'decisions.v1'> & { id: string }
}

/** The event counts. If its caller cannot be told, the rest of the batch must still be answered. */
function tellSafely(work: Work): void {
  try {
    work.recorded()
  } catch (error) {
    work.unsure(error)
  }
}
