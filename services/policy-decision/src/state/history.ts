import { labelsOfTool } from '@bailiwick/approval-statement'
import { historyFacts, type Shape } from '@bailiwick/policy'
import {
  type AllowRecord,
  type DecisionState,
  type RegistryState,
  type SpendView,
  without,
} from '@bailiwick/projection'

/** A tool's labels, from the registry. A tool without a description is treated as untrusted, private and external at once. */
export function labelsOf(registry: RegistryState, resource: { type: string; id: string }): string[] {
  return [...labelsOfTool(resource, { get: (id) => registry.get('tool-server', id) })]
}

export interface HistoryQuestion {
  decisions: DecisionState
  root: string
  /** The tree, including events that are still on their way to the log: calls of one batch follow one another too. */
  tree: Pick<SpendView, 'labels' | 'taken' | 'depth' | 'ahead'>
  /** The agent id, without instance. */
  agent: string
  /** The owner that the registry names now. */
  owner: string
  /** The number of delegations between the grant's agent and the acting agent. */
  depth: number
  /** ms since the epoch */
  now: number
  /** The first round of the call, if this is a further round: no call counts against itself. */
  own?: AllowRecord | undefined
}

/**
 * `context.history` (DESIGN §7.4 step 6): what this task (the tree) has done, and what this agent (any instance, any task) and all agents
 * of its owner did in the last 8 h. It holds only what the schema declares, and only the labels and currencies that the schema lists.
 */
export function historyOf(history: Shape | undefined, question: HistoryQuestion): Record<string, unknown> {
  const { decisions, root, tree, agent, owner, depth, now, own } = question
  const others = <T extends Parameters<typeof without>[0]>(activity: T, isIn = true) =>
    own !== undefined && isIn ? without(activity, own) : activity
  return historyFacts(history, {
    task: () =>
      others({
        calls: Number(tree.taken.calls),
        spent: tree.taken.cost,
        labels: tree.labels,
        denials: decisions.denials.of(root),
        depth: tree.depth,
      }),
    agent: () => others(decisions.history.of(agent, now, tree.ahead), own?.agents.includes(agent)),
    owner: () => others(decisions.owners.of(owner, now, tree.ahead), own?.owners.includes(owner)),
    depth,
    now,
  })
}
