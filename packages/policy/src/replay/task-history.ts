import { type AllowRecord, type SpendView, without } from '@bailiwick/projection'
import { historyFacts } from '../history-facts.ts'
import type { RecordedQuestion } from '../recorded-trial.ts'
import type { Shape } from '../schema-shapes.ts'

type Tree = Pick<SpendView, 'labels' | 'taken' | 'depth'>
type Known = NonNullable<RecordedQuestion['history']>

/** For calls decided together in one batch, the log has the times of their events, while the decision used the times of evaluation. */
const batchMs = 2000

/**
 * `context.history` of an ALLOW, as far as the log determines it exactly. The task's earlier calls are known: they precede the ALLOW in its
 * tree, because it counts only after them. The number of earlier denials is unknown, because denials have no order relative to it. Calls of
 * its agents, and of others of their owners, in other tasks are unknown too. `last` is known if it was the same second from `from` to `to`,
 * in ms: the earliest and the latest time of the decision. `own`: the first round of the call, if the ALLOW is a further one.
 */
export function taskHistory(
  tree: Tree,
  depth: number,
  { from, to }: { from: number; to: number },
  own: AllowRecord | undefined,
): Known {
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
      task: () => {
        const done = { ...tree, calls: Number(tree.taken.calls), spent: tree.taken.cost, denials: 0 }
        return own === undefined ? done : without(done, own)
      },
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
