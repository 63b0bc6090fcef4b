import { labelsOfTool } from '@bailiwick/approval-statement'
import { historyFacts, type Shape } from '@bailiwick/policy'
import type { DecisionState, RegistryState, SpendView } from '@bailiwick/projection'

/** What a tool does, by the registry; one that nobody described is treated as untrusted, private and external at once. */
export function labelsOf(registry: RegistryState, resource: { type: string; id: string }): string[] {
  return [...labelsOfTool(resource, { get: (id) => registry.get('tool-server', id) })]
}

export interface HistoryQuestion {
  decisions: DecisionState
  root: string
  /** The tree, with what of it is still on its way to the log: two calls of one batch follow one another too. */
  tree: Pick<SpendView, 'labels' | 'taken' | 'depth' | 'ahead'>
  /** Without instance. */
  agent: string
  /** As the registry has it now. */
  owner: string
  /** Delegations between the grant's agent and whoever acts now. */
  depth: number
  /** ms since the epoch */
  now: number
}

/**
 * `context.history` (DESIGN §7.4 step 6): what this task (the tree), and in the last 8 h this agent (any instance, any task) and all agents
 * of its owner, have done, so far as the schema declares it: of labels and currencies, those that it lists.
 */
export function historyOf(history: Shape | undefined, question: HistoryQuestion): Record<string, unknown> {
  const { decisions, root, tree, agent, owner, depth, now } = question
  return historyFacts(history, {
    task: () => ({
      calls: Number(tree.taken.calls),
      spent: tree.taken.cost,
      labels: tree.labels,
      denials: decisions.denials.of(root),
      depth: tree.depth,
    }),
    agent: () => decisions.history.of(agent, now, tree.ahead),
    owner: () => decisions.owners.of(owner, now, tree.ahead),
    depth,
    now,
  })
}
