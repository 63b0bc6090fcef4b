import { useQueryClient } from '@tanstack/react-query'
import { api } from '../api.ts'
import { refresh } from '../live.ts'
import { Link } from '../router.tsx'
import type { Emergency } from '../types.ts'
import { problemText } from '../ui/problem-text.ts'
import { useSay } from '../ui/say.tsx'
import { When } from '../ui/time.tsx'
import { Visible } from '../ui/visible.tsx'

/** Shown to everyone while an emergency waits or lives, and until a person who did not act has reviewed it. */
export function EmergencyBanner({ emergency }: { emergency: Emergency }) {
  const { request_id, state, by, by_name, signed_by, until, may_review } = emergency
  const client = useQueryClient()
  const say = useSay()
  const who = <Visible text={by_name === null ? by : `${by_name} (${by})`} />
  const review = async () => {
    try {
      await api(`/emergencies/${request_id}/review`, {})
      say('You reviewed the emergency.')
      await refresh(client)
    } catch (error) {
      say(problemText(error), 'failed')
    }
  }
  return (
    <div className="banner bad" data-emergency={state}>
      <p>
        {state === 'waiting' ? (
          <>
            <strong>An emergency waits for signatures.</strong> {who} asks to go round the rules for approval
            {signed_by.length === 0 ? '' : ', signed by '}
            <Visible text={signed_by.join(' and ')} />.
          </>
        ) : state === 'live' ? (
          <>
            <strong>An emergency is live.</strong> {who} acts round the rules for approval until <When iso={until} />,
            signed by <Visible text={signed_by.join(' and ')} />.
          </>
        ) : (
          <>
            <strong>An emergency is over and not reviewed.</strong> {who} acted, signed by{' '}
            <Visible text={signed_by.join(' and ')} />. A person who did not act reads its report:{' '}
            <code>bailiwick report emergency {request_id}</code>
          </>
        )}{' '}
        <Link to={`/console/requests/${request_id}`}>Open it</Link>
        {state === 'waiting' ? null : (
          <>
            {' · '}
            <Link to={`/console/evidence/${request_id}`}>What was done</Link>
          </>
        )}
      </p>
      {may_review ? (
        <button type="button" onClick={review}>
          I have read the report
        </button>
      ) : null}
    </div>
  )
}
