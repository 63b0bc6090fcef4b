import type { Statement } from '../types.ts'
import { When } from '../ui/time.tsx'

type Effect = { kind: 'action' } | { kind: 'task'; until: string }

/** What approving this statement does; undefined: this console does not know it. */
export function effectIn(statement: Statement): Effect | undefined {
  const { effect } = statement as { effect?: Partial<Record<string, unknown>> }
  if (effect?.kind === 'action' && Object.keys(effect).length === 1) return { kind: 'action' }
  const { until } = effect ?? {}
  if (effect?.kind !== 'task' || typeof until !== 'string' || Number.isNaN(Date.parse(until))) return undefined
  return Object.keys(effect).length === 2 ? { kind: 'task', until } : undefined
}

/** The effect in words, from the statement itself: exactly what the decision point does with the approval. */
export function StepUpEffect({ statement }: { statement: Statement }) {
  const effect = effectIn(statement)
  if (effect === undefined) return null
  return (
    <section className={effect.kind === 'task' ? 'note warn' : 'note'} aria-label="What your approval does">
      {effect.kind === 'action' ? (
        <p>Your approval lets this one action happen, once. Nothing else changes: a lapsed task stays lapsed.</p>
      ) : (
        <p>
          Your approval does two things. This action may happen, once. And <strong>the task continues</strong> until{' '}
          <When iso={effect.until} />: the agent may do everything that its grant allows, without asking you, until it
          lapses again.
        </p>
      )}
    </section>
  )
}
