import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { api } from '../api.ts'
import { Link } from '../router.tsx'
import type { Group, Me, People } from '../types.ts'
import { Failed, Loading } from '../ui/parts.tsx'
import { When } from '../ui/time.tsx'
import { useTitle } from '../ui/title.ts'
import { Visible } from '../ui/visible.tsx'
import { AddPasskeyDialog, InviteDialog, RetireDialog } from './people-dialogs.tsx'
import { type Stop, StopDialog } from './stop-dialog.tsx'

type Open = { kind: 'invite' } | { kind: 'add' } | { kind: 'retire'; id: string } | { kind: 'void'; stop: Stop }

/** The approvers, and the viewer's own passkeys. Each change here is a request that people sign. */
export function PeoplePage({ me }: { me: Me }) {
  useTitle('People')
  const [open, setOpen] = useState<Open>()
  const list = useQuery({ queryKey: ['people'], queryFn: () => api<People>('/people') })
  const close = () => setOpen(undefined)
  return (
    <>
      <div className="page-head">
        <h1>People</h1>
        <button type="button" className="primary" onClick={() => setOpen({ kind: 'invite' })}>
          Invite a person…
        </button>
      </div>
      {list.isPending ? <Loading /> : null}
      {list.error ? <Failed error={list.error} /> : null}
      {list.data ? <MyPasskeys passkeys={list.data.my_passkeys} onOpen={setOpen} /> : null}
      <section className="below">
        <div className="page-head">
          <h2>Approvers</h2>
        </div>
        <ul className="cards two">
          {list.data?.approvers.map((person) => (
            <li key={person.id}>
              <PersonCard person={person} mine={person.id === me.me.id} onOpen={setOpen} />
            </li>
          ))}
        </ul>
      </section>
      {list.data ? <Groups groups={list.data.groups} /> : null}
      {open?.kind === 'invite' && list.data ? (
        <InviteDialog groups={list.data.groups.map(({ id }) => id)} onClose={close} />
      ) : null}
      {open?.kind === 'add' ? <AddPasskeyDialog onClose={close} /> : null}
      {open?.kind === 'retire' ? <RetireDialog id={open.id} onClose={close} /> : null}
      {open?.kind === 'void' ? <StopDialog stop={open.stop} onClose={close} /> : null}
    </>
  )
}

/** Which groups answer for which rules. A group with too few people can approve nothing. */
function Groups({ groups }: { groups: Group[] }) {
  return (
    <section className="below">
      <div className="page-head">
        <h2>Groups</h2>
        <p className="hint">Rules name a group. Its members are checked at the moment of each signature.</p>
      </div>
      <ul className="table">
        {groups.map(({ id, members, rules }) => {
          const starved = rules.filter(({ quorum }) => quorum > members.length)
          return (
            <li key={id}>
              <span className="table-main">
                <strong>
                  <Visible text={id} />
                </strong>
                {members.length === 0 ? (
                  'no members'
                ) : (
                  <Visible text={members.map((person) => `${person.name} (${person.id})`).join(', ')} />
                )}
              </span>
              <span className="table-note">
                {rules.length === 0 ? (
                  'no rule uses it'
                ) : (
                  <>
                    answers{' '}
                    <Visible
                      text={rules.map((rule) => `${rule.id} (${rule.quorum} of ${members.length})`).join(', ')}
                    />
                  </>
                )}
              </span>
              {starved.length > 0 ? (
                <p className="note warn">
                  Too few people: nothing can be approved under{' '}
                  <Visible text={starved.map((rule) => rule.id).join(', ')} />.
                </p>
              ) : null}
            </li>
          )
        })}
      </ul>
    </section>
  )
}

function MyPasskeys({ passkeys, onOpen }: { passkeys: People['my_passkeys']; onOpen(open: Open): void }) {
  return (
    <section className="card">
      <div className="card-head">
        <h2>Your passkeys</h2>
        <button type="button" onClick={() => onOpen({ kind: 'add' })}>
          Add a passkey…
        </button>
      </div>
      <ul className="table">
        {passkeys.map(({ credential_id: id, registered_at }) => (
          <li key={id}>
            <span className="table-main">
              <code>{id.slice(0, 16)}…</code>
              <span className="hint">
                since <When iso={registered_at} />
              </span>
            </span>
            {passkeys.length > 1 ? (
              <button type="button" className="quiet" onClick={() => onOpen({ kind: 'retire', id })}>
                Retire…
              </button>
            ) : null}
          </li>
        ))}
      </ul>
      {passkeys.length === 1 ? (
        <p className="note">
          This is your only passkey. Add a second one: if you lose this one, only other approvers can let you in again.
        </p>
      ) : null}
    </section>
  )
}

function PersonCard({
  person: { id, name, groups, passkeys },
  mine,
  onOpen,
}: {
  person: People['approvers'][number]
  mine: boolean
  onOpen(open: Open): void
}) {
  return (
    <article className="card">
      <div className="card-head">
        <h3>
          <Visible text={name} />
        </h3>
        {mine ? <span className="badge state-active">You</span> : null}
      </div>
      <p className="hint">
        <code>
          <Visible text={id} />
        </code>{' '}
        · {groups.length === 0 ? 'in no group' : 'in '}
        <Visible text={groups.join(', ')} /> · {passkeys === 1 ? 'one passkey' : `${passkeys} passkeys`}
      </p>
      <div className="actions">
        <Link to={`/console/registry/approver/${encodeURIComponent(id)}`}>
          {mine ? (
            'Your groups and history'
          ) : (
            <>
              Groups, history, remove
              <span className="hidden">
                {' '}
                of <Visible text={name} />
              </span>
            </>
          )}
        </Link>
        {mine ? null : (
          <button
            type="button"
            className="danger-quiet"
            onClick={() => onOpen({ kind: 'void', stop: { kind: 'approver', target: id, name } })}
          >
            Void what they approved…
          </button>
        )}
      </div>
    </article>
  )
}
