import type { Statement } from '../types.ts'
import { When } from '../ui/time.tsx'

type Effect = { kind: 'action' } | { kind: 'task'; until: string }

/** What a yes to this statement does; undefined: this console does not know it. */
export function effectIn(statement: Statement): Effect | undefined {
  const { effect } = statement as { effect?: Partial<Record<string, unknown>> }
  if (effect?.kind === 'action' && Object.keys(effect).length === 1) return { kind: 'action' }
  const { until } = effect ?? {}
  if (effect?.kind !== 'task' || typeof until !== 'string' || Number.isNaN(Date.parse(until))) return undefined
  return Object.keys(effect).length === 2 ? { kind: 'task', until } : undefined
}

/** In words, of the statement itself: exactly what the decision point does with the yes. */
export function StepUpEffect({ statement }: { statement: Statement }) {
  const effect = effectIn(statement)
  if (effect === undefined) return null
  return (
    <section className={effect.kind === 'task' ? 'note warn' : 'note'} aria-label="What your yes does">
      {effect.kind === 'action' ? (
        <p>Your yes lets this one action happen, once. Nothing else changes: a task that lapsed does not go on.</p>
      ) : (
        <p>
          Your yes does two things. This action may happen, once. And <strong>the task goes on</strong> until{' '}
          <When iso={effect.until} />: the agent may do all that its grant allows, without asking you, until it lapses
          again.
        </p>
      )}
    </section>
  )
}
