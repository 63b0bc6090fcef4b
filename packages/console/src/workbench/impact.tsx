import { useQuery } from '@tanstack/react-query'
import { api } from '../api.ts'
import { Link } from '../router.tsx'
import type { Replayed, WeighChangeAnswer } from '../types.ts'
import { number } from '../ui/numbers.ts'
import { Card, Failed } from '../ui/parts.tsx'
import { When } from '../ui/time.tsx'
import { Visible } from '../ui/visible.tsx'

/** Shows what a change would have done to the recorded asks and calls of the last 24 hours. */
export function Impact({ wanted }: { wanted: object }) {
  const weighed = useQuery({
    queryKey: ['weighed', wanted],
    queryFn: () => api<WeighChangeAnswer>('/registry/impact', wanted),
    staleTime: Number.POSITIVE_INFINITY,
    retry: false,
  })
  const { data, error } = weighed
  return (
    <Card title="If it had held for the last 24 hours" className="impact">
      <div role="status" aria-busy={weighed.isPending}>
        {weighed.isPending ? <p className="hint">Asking the recorded decisions again …</p> : null}
        {error ? <Failed error={error} /> : null}
        {data ? <Weighed weighed={data} /> : null}
      </div>
    </Card>
  )
}

function Weighed({ weighed: { asks, calls, calls_problem } }: { weighed: WeighChangeAnswer }) {
  if (asks === null && calls === null && calls_problem === null)
    return (
      <p className="note warn">
        Not known: only changes of policies, agents, tool servers and rules for agents are compared with the last 24
        hours.
      </p>
    )
  return (
    <>
      {calls === null ? null : <Calls calls={calls} />}
      {calls_problem === null ? null : (
        <p className="note warn">
          What it would have done to calls is not known: <Visible text={calls_problem} />
        </p>
      )}
      {asks === null ? null : <Asks asks={asks} />}
    </>
  )
}

const some = (n: number, one: string, many = `${one}s`) => `${number(n)} ${n === 1 ? one : many}`

export function callsText({ by_policies, same, denied, allowed, untold }: Replayed): string {
  if (by_policies === 0) return 'No call was decided by policies in this time.'
  const parts = [
    denied > 0 ? `denies ${some(denied, 'call')} that ${denied === 1 ? 'was' : 'were'} allowed` : '',
    allowed > 0 ? `allows ${some(allowed, 'call')} that ${allowed === 1 ? 'was' : 'were'} denied` : '',
  ].filter((part) => part !== '')
  const rest =
    untold > 0
      ? ` For ${some(untold, 'call')} the result is not known: the log does not hold everything that it depends on.`
      : ''
  const unchanged = `says the same of ${untold > 0 ? `${number(same)} of ` : ''}`
  return `It ${parts.length === 0 ? unchanged : `${parts.join(', and ')}, of `}${some(by_policies, 'call')}.${rest}`
}

export function Calls({ calls }: { calls: Replayed }) {
  const { denied, allowed, untold, differences, more, refused } = calls
  return (
    <>
      <p className={denied + allowed + untold > 0 ? 'note warn' : 'note good'}>
        <strong>{callsText(calls)}</strong>
      </p>
      {refused > 0 ? (
        <p className="note bad">
          {some(refused, 'entry', 'entries')} of the log could not be verified, and were left out.
        </p>
      ) : null}
      {differences.length === 0 ? null : (
        <details open={differences.length <= 12}>
          <summary>Which ones</summary>
          <ul className="table replayed">
            {differences.map(({ kind, decision_id, time, agent, action, resource, why }) => (
              <li key={decision_id}>
                <span className={`badge ${badges[kind]}`}>{words[kind]}</span>
                <span className="table-main">
                  <Link to={`/console/evidence/${decision_id}`}>
                    <Visible text={`${action} on ${resource}`} />
                  </Link>
                  <span className="table-note">
                    by <Visible text={agent.split('/').slice(-2).join('/')} />, <When iso={time} />:{' '}
                    <Visible text={why} />
                  </span>
                </span>
              </li>
            ))}
          </ul>
          {more > 0 ? (
            <p className="hint">And {some(more, 'more call')}: `bailiwick policy replay` lists all.</p>
          ) : null}
        </details>
      )}
    </>
  )
}

const words = { denied: 'Denied', allowed: 'Allowed', untold: 'Cannot be told' }
const badges = { denied: 'state-denied', allowed: 'state-approved', untold: 'state-pending' }

function Asks({ asks: { looked_at, moved, moved_count, stranded } }: { asks: NonNullable<WeighChangeAnswer['asks']> }) {
  return (
    <>
      <p className={moved_count > 0 ? 'note warn' : 'note good'}>
        <strong>
          {looked_at === 0
            ? 'Approval remembers no ask. It forgets an answered ask after nine hours.'
            : moved_count === 0
              ? `Of the newest ${some(looked_at, 'ask')} that approval remembers, each would have gone by the same rule.`
              : `Of the newest ${some(looked_at, 'ask')} that approval remembers, ${number(moved_count)} would have gone by another rule, or by other terms of it.`}
        </strong>
        {stranded > 0
          ? ` No rule would hold for ${some(stranded, 'ask')}, so no person could have approved ${stranded === 1 ? 'it' : 'them'}.`
          : ''}
      </p>
      {moved.length === 0 ? null : (
        <details>
          <summary>Which ones</summary>
          <ul className="table replayed">
            {moved.map(({ request_id, subject, agent, received_at, now, after }) => (
              <li key={request_id}>
                <span className="table-main">
                  <Link to={`/console/requests/${request_id}`}>
                    <Visible text={subject} />
                  </Link>
                  <span className="table-note">
                    by <Visible text={agent.split('/').at(-1) ?? ''} />, <When iso={received_at} />:{' '}
                    <Visible text={now ?? 'no rule'} /> → <Visible text={after ?? 'no rule'} />
                  </span>
                </span>
              </li>
            ))}
          </ul>
        </details>
      )}
    </>
  )
}
