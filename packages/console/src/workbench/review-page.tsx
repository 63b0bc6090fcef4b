import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { api } from '../api.ts'
import { refresh } from '../live.ts'
import { RegistryDiff } from '../pages/registry-diff.tsx'
import { backTo, go, Link } from '../router.tsx'
import type { Me, PreviewChangeAnswer, Proposed } from '../types.ts'
import { Card, Empty, Failed, Loading } from '../ui/parts.tsx'
import { problemText } from '../ui/problem-text.ts'
import { useSay } from '../ui/say.tsx'
import { useTitle } from '../ui/title.ts'
import { Visible } from '../ui/visible.tsx'
import { dropAllDrafts, dropDraft, type EntityDraft, useDrafts } from './drafts.ts'
import { wordsOfType } from './entity-fields.ts'
import { entityPath } from './entity-page.tsx'
import { Impact } from './impact.tsx'
import { asWanted, isPolicies } from './policy-files.ts'
import './workbench.css'

/** Tells a person in plain words what the change would do, before they propose it. */
export function ReviewPage({ me }: { me: Me }) {
  useTitle('Review a change')
  const drafts = useDrafts(me.me.id)
  return (
    <>
      <p className="crumb">
        <Link to={backTo('/console/registry')}>← Registry</Link>
      </p>
      <div className="page-head">
        <h1>Your change</h1>
        <p className="hint">Proposing changes nothing. It counts once people have signed exactly this.</p>
      </div>
      {drafts.length === 0 ? (
        <Empty title="You changed nothing.">
          <p>
            Open an entry of the <Link to="/console/registry">registry</Link>, and edit it.
          </p>
        </Empty>
      ) : (
        <Review drafts={drafts} />
      )}
    </>
  )
}

function Review({ drafts }: { drafts: readonly EntityDraft[] }) {
  const wanted = asWanted(drafts)
  const preview = useQuery({
    queryKey: ['registry', 'preview', drafts],
    queryFn: () => api<PreviewChangeAnswer>('/registry/preview', wanted),
  })
  const plan = preview.data
  return (
    <div className="columns">
      <div className="column">
        {preview.isPending ? <Loading /> : null}
        {preview.error ? <Failed error={preview.error} /> : null}
        {plan?.conflicts.map((conflict) => (
          <Conflict key={`${conflict.type} ${conflict.id}`} conflict={conflict} />
        ))}
        {plan ? (
          <Card title={summaryOf(plan)}>
            {plan.diff.length === 0 ? (
              <p>The registry is already as you want it.</p>
            ) : (
              <RegistryDiff diff={plan.diff} />
            )}
          </Card>
        ) : null}
        {plan && plan.diff.length > 0 ? <Impact wanted={wanted} /> : null}
      </div>
      <div className="column">
        <Card title="Entries of this change">
          <ul className="table drafts">
            {drafts.map((draft) => (
              <li key={`${draft.type} ${draft.id}`}>
                <span className="table-main">
                  <Link to={placeOf(draft)}>
                    <Visible text={draft.id} />
                  </Link>
                  <span className="table-note">{wordsOfType(draft.type)}</span>
                </span>
                <button
                  type="button"
                  className="quiet"
                  aria-label={`Leave out ${draft.id}`}
                  onClick={() => dropDraft(draft)}
                >
                  Leave out
                </button>
              </li>
            ))}
          </ul>
        </Card>
        {plan ? <Propose plan={plan} wanted={wanted} /> : null}
      </div>
    </div>
  )
}

function placeOf(draft: EntityDraft): string {
  if (isPolicies(draft)) return '/console/rules?show=policies'
  return draft.base === 0 ? `/console/registry/${draft.type}` : entityPath(draft.type, draft.id)
}

const verbs = [
  ['register', 'to register'],
  ['change', 'to change'],
  ['retire', 'to retire'],
] as const

function summaryOf({ diff }: PreviewChangeAnswer): string {
  const counts = verbs.flatMap(([verb, words]) => {
    const count = diff.filter((each) => each.verb === verb).length
    return count === 0 ? [] : [`${count} ${words}`]
  })
  return counts.length === 0 ? 'Nothing would change' : `Plan: ${counts.join(', ')}`
}

function Conflict({ conflict: { type, id, base, version } }: { conflict: PreviewChangeAnswer['conflicts'][number] }) {
  return (
    <div className="note bad">
      <p>
        {base === 0 ? (
          <>
            There is a {wordsOfType(type)} <Visible text={id} /> already.
          </>
        ) : (
          <>
            The {wordsOfType(type)} <Visible text={id} /> is version {version} by now; you began with version {base}.
            Below is your change against the newest.
          </>
        )}
      </p>
      <div className="actions">
        <button
          type="button"
          onClick={() => {
            dropDraft({ type, id })
            go(entityPath(type, id))
          }}
        >
          Drop my change of it, and look at the newest
        </button>
      </div>
    </div>
  )
}

const why: Record<NonNullable<PreviewChangeAnswer['people']>['why'], string> = {
  objection: 'One is enough: it only retires recoveries.',
  second: 'One is enough: it brings in the second person who can sign.',
  single_operator: 'This installation has a single operator.',
  rule: 'The rule “registry” asks for this many.',
  two: 'Every change of the registry takes two.',
}

function Propose({ plan, wanted }: { plan: PreviewChangeAnswer; wanted: object }) {
  const client = useQueryClient()
  const say = useSay()
  const [busy, setBusy] = useState(false)
  const [failure, setFailure] = useState<string>()
  const { people, problem, starved, conflicts } = plan
  const propose = async () => {
    setBusy(true)
    setFailure(undefined)
    try {
      const { request_id } = await api<Proposed>('/registry/changes', wanted)
      dropAllDrafts()
      say('Proposed. It counts once it is signed.')
      await refresh(client)
      go(request_id === null ? '/console/registry' : `/console/requests/${request_id}`)
    } catch (error) {
      setFailure(problemText(error))
    } finally {
      setBusy(false)
    }
  }
  return (
    <Card title="Who must sign">
      {people === null ? (
        <p className="hint">No one: nothing would change.</p>
      ) : (
        <p>
          <strong>{people.quorum === 1 ? 'One person' : `${people.quorum} different people`}</strong>
          {people.group === null ? ', any approvers' : ' of '}
          {people.group === null ? null : <Visible text={people.group} />}. {why[people.why]}
        </p>
      )}
      {starved.map(({ rule, group, quorum, members }) => (
        <p key={rule} className="note warn">
          After this, nothing can be approved under the rule <Visible text={rule} />: it takes {quorum} of{' '}
          <Visible text={group} />, and that group has {members.length}.
        </p>
      ))}
      {problem === null ? null : (
        <p className="note bad" role="alert">
          It cannot be proposed: <Visible text={problem} />
        </p>
      )}
      {failure === undefined ? null : (
        <p className="note bad" role="alert">
          <Visible text={failure} />
        </p>
      )}
      <div className="actions">
        <button
          type="button"
          className="primary"
          disabled={busy || problem !== null || people === null || conflicts.length > 0}
          onClick={() => void propose()}
        >
          {busy ? 'Proposing …' : 'Propose this change'}
        </button>
        <button type="button" onClick={dropAllDrafts}>
          Drop it all
        </button>
      </div>
    </Card>
  )
}
