import { historyFacts, type RecordedQuestion, type Shape } from '@bailiwick/policy'
import type { SpendView } from '@bailiwick/projection'

type Tree = Pick<SpendView, 'labels' | 'taken' | 'depth'>
type Known = NonNullable<RecordedQuestion['history']>

/** Decisions of one batch are recognised by the times of their events, and those by the times of evaluation. */
const batchMs = 2000

/**
 * `context.history` of an ALLOW, as far as the log tells it exactly: what its task had done is what stood before it in its tree, since it
 * counts only behind that. How often it had been denied is not: denials are in no order with it. Nor what its agents, and others of their owners, did in
 * other tasks. `last` is, where it was the same second from `from` to `to`, ms: when it was decided, at the earliest and at the latest.
 */
export function taskHistory(tree: Tree, depth: number, { from, to }: { from: number; to: number }): Known {
  return (shape) => {
    const whose = membersOf(shape)
    const unknown = ['agent', 'owner'].flatMap((name) => (whose.has(name) ? [['history', name]] : []))
    const facts = membersOf(whose.get('task'))
    if (facts.has('denials')) unknown.push(['history', 'task', 'denials'])
    for (const label of membersOf(facts.get('last')).keys()) {
      const touched = tree.labels.get(label)
      if (touched && !isSameSecond(touched.lastAt, from, to)) unknown.push(['history', 'task', 'last', label])
    }
    const known = historyFacts(shape, {
      task: () => ({ ...tree, calls: Number(tree.taken.calls), spent: tree.taken.cost, denials: 0 }),
      agent: () => nothing,
      owner: () => nothing,
      depth,
      now: to,
    })
    return { known, unknown }
  }
}

function isSameSecond(lastAt: number, from: number, to: number): boolean {
  const since = (now: number) => Math.floor((now - lastAt) / 1000)
  return lastAt < from - batchMs && since(from) === since(to)
}

/** A placeholder for what is unknown. */
const nothing = { calls: 0, spent: new Map(), labels: new Map(), denials: 0, depth: 0 }

const membersOf = (shape: Shape | undefined) => (shape?.kind === 'Record' ? shape.members : new Map<string, Shape>())
