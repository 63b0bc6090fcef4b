import { useMutation } from '@tanstack/react-query'
import { api } from '../api.ts'
import type { WeighChangeAnswer } from '../types.ts'
import { Failed } from '../ui/parts.tsx'
import { Visible } from '../ui/visible.tsx'
import { Calls } from './impact.tsx'
import { type Files, policyEntity } from './policy-files.ts'

/** Asks these policies what was decided in the last 24 hours. */
export function ReplayView({ files, base }: { files: Files; base: number }) {
  const replay = useMutation({
    mutationFn: () =>
      api<WeighChangeAnswer>('/registry/impact', { entities: [{ ...policyEntity, base }], policies: { files } }),
  })
  return (
    <div className="explain">
      <p className="hint">
        Every call of the last 24 hours is asked again as evidence recorded it. What the log does not hold is never
        guessed.
      </p>
      <div className="actions">
        <button type="button" className="primary" disabled={replay.isPending} onClick={() => replay.mutate()}>
          {replay.isPending ? 'Reading the log …' : 'Replay the last 24 hours'}
        </button>
      </div>
      <div role="status">
        {replay.error ? <Failed error={replay.error} /> : null}
        {replay.data?.calls ? <Calls calls={replay.data.calls} /> : null}
        {replay.data && replay.data.calls === null ? (
          <p className="note">
            {replay.data.calls_problem === null ? (
              'These are the active policies: they say the same of every call.'
            ) : (
              <Visible text={replay.data.calls_problem} />
            )}
          </p>
        ) : null}
      </div>
    </div>
  )
}
