import { agentIdOf, type DecodedEvent } from '@bailiwick/contracts'
import type { DenialReason } from '@bailiwick/errors'
import type { AgentHistory } from './agent-history.ts'
import type { Columns, Row } from './cut/row.ts'

type Denial = Extract<DecodedEvent<'decisions.v1'>, { type: 'decision.denied' | 'denials.summarised' }>

/**
 * Denials that say something about the caller: it tried something that it may not do. Outage denials do not count, or one outage would lock
 * every agent out. Neither do denials before the proof was verified, or the finder of a stolen credential could get its agent refused.
 */
const counted: ReadonlySet<string> = new Set<DenialReason>([
  'action_not_granted',
  'argument_out_of_bounds',
  'policy_denied',
  'uses_exhausted',
  'budget_exhausted',
  'cost_invalid',
])

/**
 * Denials by tree, and by agent in the agent's history. Denials of one agent beyond 10 a second are logged as a sum without their tree;
 * these count for the agent only.
 */
export class DenialCounts {
  readonly #trees = new Map<string, { count: number; lastAt: number }>()
  readonly #history: AgentHistory

  constructor(history: AgentHistory) {
    this.#history = history
  }

  apply(event: Denial): void {
    const at = Date.parse(event.time)
    if (event.type === 'denials.summarised') {
      for (const { subject, reason, count } of event.data.denials)
        if (counted.has(reason) && subject.startsWith('spiffe://'))
          this.#history.addDenials(agentIdOf(subject), count, at)
      return
    }
    const { reason, actor, between = [] } = event.data
    if (!counted.has(reason) || actor?.agent === undefined) return
    const root = event.partitionkey
    const known = this.#trees.get(root) ?? { count: 0, lastAt: at }
    this.#trees.set(root, { count: known.count + 1, lastAt: Math.max(known.lastAt, at) })
    // As with an ALLOW: an agent that delegated a call which is then refused had a part in it.
    const agents = [actor.agent, ...between, ...(actor.sub_agent === undefined ? [] : [actor.sub_agent])].map(agentIdOf)
    for (const agent of new Set(agents)) this.#history.addDenials(agent, 1, at)
  }

  /** The number of denials of a tree. */
  of(root: string): number {
    return this.#trees.get(root)?.count ?? 0
  }

  /** Its state as it is now. The agents' denials are in their history. */
  cut(): Iterable<Row> {
    return [...this.#trees].map(([root, { count, lastAt }]) => ['denials', root, count, lastAt] as const)
  }

  restore(columns: Columns): void {
    this.#trees.set(columns.text(), { count: columns.whole(), lastAt: columns.whole() })
  }

  forget(ms: number, ended: (root: string) => boolean): void {
    for (const [root, { lastAt }] of this.#trees) if (lastAt < ms && ended(root)) this.#trees.delete(root)
  }
}
