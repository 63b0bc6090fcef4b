import { labelsOfTool } from '@bailiwick/approval-statement'
import type { DecisionState, RegistryState, SpendView } from '@bailiwick/projection'

/** What a tool does, by the registry; one that nobody described is treated as untrusted, private and external at once. */
export function labelsOf(registry: RegistryState, resource: { type: string; id: string }): string[] {
  return [...labelsOfTool(resource, { get: (id) => registry.get('tool-server', id) })]
}

/**
 * `context.history` (DESIGN §7.4 step 6): what this tree, and this agent (any instance, any task) in the last 8 h, has
 * touched. Labels count from the ALLOW on. Plain Cedar can then say what may follow what.
 */
export function historyOf(
  decisions: DecisionState,
  agent: string,
  tree: Pick<SpendView, 'labels' | 'taken'>,
  now: number,
): Record<string, unknown> {
  // With the tree's own, of which some are still on their way to the log: two calls of one batch follow one another too.
  const lately = decisions.history.of(agent, now)
  const touched = new Set([...tree.labels.keys(), ...lately.labels])
  return {
    task: { labels: [...tree.labels.keys()], calls: Number(tree.taken.calls) },
    agent: { labels: [...touched], calls: lately.calls },
  }
}
