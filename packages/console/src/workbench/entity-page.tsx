import { useQuery } from '@tanstack/react-query'
import { type ReactNode, useState } from 'react'
import { api } from '../api.ts'
import { type Stop, StopDialog } from '../pages/stop-dialog.tsx'
import { backTo, go, Link } from '../router.tsx'
import type { Me, People, ReadEntityAnswer } from '../types.ts'
import { Card, Facts, Failed, Loading } from '../ui/parts.tsx'
import { Ago } from '../ui/time.tsx'
import { useTitle } from '../ui/title.ts'
import { Visible } from '../ui/visible.tsx'
import { DraftBar } from './draft-bar.tsx'
import { type EntityDraft, keepDraft, useDrafts } from './drafts.ts'
import { type EntityKind, entityKinds, wordsOfType } from './entity-fields.ts'
import { EntityForm } from './entity-form.tsx'
import { textKinds } from './field-texts.ts'
import { FieldView } from './field-view.tsx'
import { entityApi, History } from './history.tsx'
import './workbench.css'

export const entityPath = (type: string, id: string): string => `/console/registry/${type}/${encodeURIComponent(id)}`

export const reviewPath = '/console/registry/draft'

export const useEntity = (type: string, id: string) =>
  useQuery({ queryKey: ['registry', 'one', type, id], queryFn: () => api<ReadEntityAnswer>(entityApi(type, id)) })

/** One entity of the registry: what it is, what names it, every version of it, and a form to change it. */
export function EntityPage({ type, id, me }: { type: string; id: string; me: Me }) {
  const found = useEntity(type, id)
  const kind = entityKinds[type]
  useTitle(found.data?.name ?? id)
  return (
    <>
      <p className="crumb">
        <Link to={backTo('/console/registry')}>← Registry</Link>
      </p>
      {found.data === undefined || kind === undefined ? (
        <>
          <h1>
            <Visible text={id} />
          </h1>
          {found.isPending ? <Loading /> : null}
          {found.error ? <Failed error={found.error} /> : null}
        </>
      ) : (
        <OneEntity found={found.data} kind={kind} me={me} />
      )}
    </>
  )
}

function OneEntity({ found, kind, me }: { found: ReadEntityAnswer; kind: EntityKind; me: Me }) {
  const { type, id, name, version, value, changed_at, open_changes } = found
  const drafts = useDrafts(me.me.id)
  const draft = drafts.find((each) => each.type === type && each.id === id)
  /** The version and the value with which the form began. The registry may get a newer version while it is open. */
  const [editing, setEditing] = useState<Pick<EntityDraft, 'base' | 'value'>>()
  const [stopping, setStopping] = useState<Stop>()
  const isRetired = value === null
  const mayEdit = kind.fields.some(({ fixed }) => fixed === undefined) && !isRetired
  const mayRetire = !isRetired && !['service-key', 'policy-set'].includes(type)
  const keep = (wanted: unknown, base: number) => {
    keepDraft({ type, id, base, value: wanted })
    setEditing(undefined)
    go(reviewPath)
  }
  return (
    <>
      <div className="page-head">
        <div>
          <h1>
            <Visible text={name ?? id} />
          </h1>
          <p className="id">
            {wordsOfType(type)} <Visible text={id} />
          </p>
        </div>
        <span className="row-badges">
          {isRetired ? <span className="badge state-revoked">Retired</span> : null}
          <span className="badge">Version {version}</span>
        </span>
      </div>
      <DraftBar drafts={drafts} />
      {open_changes.length === 0 ? null : (
        <p className="note warn">
          A change of it waits for signatures:{' '}
          {open_changes.map((request) => (
            <Link key={request} to={`/console/requests/${request}`}>
              open the request
            </Link>
          ))}
          . Once it counts, a change that began before it must begin anew.
        </p>
      )}
      <div className="entity-columns">
        <Card
          title={editing ? 'Edit it' : 'What it is'}
          aside={
            editing || !mayEdit ? undefined : (
              <button type="button" className="primary" onClick={() => setEditing(draft ?? { base: version, value })}>
                {draft === undefined ? 'Edit' : 'Go on editing'}
              </button>
            )
          }
        >
          {editing ? (
            <Editor
              type={type}
              value={editing.value ?? value}
              onDone={(wanted) => keep(wanted, editing.base)}
              onCancel={() => setEditing(undefined)}
            />
          ) : (
            <Now kind={kind} found={found} />
          )}
        </Card>
        <div className="column">
          <NamedBy found={found} />
          <Card title="More">
            <p className="hint">
              {kind.about} Changed <Ago iso={changed_at} />.
            </p>
            {kind.elsewhere === undefined ? null : <p className="hint">{kind.elsewhere}</p>}
            <div className="actions">
              {type === 'agent' ? (
                <Link to={`/console/agents/${encodeURIComponent(id)}`}>What it does and did</Link>
              ) : null}
              {type === 'policy-set' ? <Link to="/console/rules?show=policies">Open the policies</Link> : null}
              {type === 'tool-server' && !isRetired ? (
                <button
                  type="button"
                  className="danger-quiet"
                  onClick={() => setStopping({ kind: 'tool-server', target: id, name: id })}
                >
                  Stop its use now…
                </button>
              ) : null}
              {mayRetire ? (
                <button type="button" className="danger-quiet" onClick={() => keep(null, version)}>
                  {type === 'approver' ? 'Remove this person…' : 'Retire it…'}
                </button>
              ) : null}
            </div>
          </Card>
        </div>
      </div>
      <section className="below">
        <h2>History</h2>
        <History type={type} id={id} />
      </section>
      {stopping ? <StopDialog stop={stopping} onClose={() => setStopping(undefined)} /> : null}
    </>
  )
}

function Now({ kind, found: { value, hash, versions } }: { kind: EntityKind; found: ReadEntityAnswer }) {
  const shown = value ?? versions.find(({ before }) => before !== null)?.before ?? null
  return (
    <>
      {value === null ? <p className="note bad">It is retired. This is what it was.</p> : null}
      <Facts rows={kind.fields.map((field) => [field.label, <FieldView key="v" field={field} value={shown} />])} />
      <details>
        <summary>As JSON</summary>
        <pre className="member">
          <Visible text={textKinds.json.spell(shown)} lines />
        </pre>
        {hash === null ? null : (
          <p className="hint">
            Hash <code>{hash}</code>
          </p>
        )}
      </details>
    </>
  )
}

function NamedBy({ found: { named_by } }: { found: ReadEntityAnswer }) {
  if (named_by.length === 0) return null
  return (
    <Card title="Belongs together with">
      <ul className="member-lines">
        {named_by.map(({ type, id, as }) => (
          <li key={`${type} ${id} ${as}`}>
            {wordsOfType(type)}{' '}
            <Link to={entityPath(type, id)}>
              <Visible text={id} />
            </Link>
            <span className="table-note">
              {' '}
              <Visible text={as} />
            </span>
          </li>
        ))}
      </ul>
    </Card>
  )
}

function Editor(props: {
  type: string
  value: unknown
  children?: ReactNode
  onDone(value: unknown): void
  onCancel(): void
}) {
  const people = useQuery({ queryKey: ['people'], queryFn: () => api<People>('/people') })
  if (people.data === undefined) return people.error ? <Failed error={people.error} /> : <Loading />
  const { groups, approvers } = people.data
  return (
    <EntityForm
      {...props}
      choices={{ groups: groups.map(({ id }) => id), people: approvers }}
      action="Review the change"
    />
  )
}

/** A form for an entity that the registry does not have yet. */
export function NewEntityPage({ type, me }: { type: string; me: Me }) {
  const kind = entityKinds[type]
  const drafts = useDrafts(me.me.id)
  const [id, setId] = useState('')
  useTitle(`New ${wordsOfType(type)}`)
  if (kind?.fresh === undefined)
    return (
      <>
        <h1>{kind === undefined ? 'There is no such page' : kind.many}</h1>
        <p>{kind?.elsewhere ?? 'The registry has no entries of this kind.'}</p>
      </>
    )
  const wanted = id.trim()
  const keep = async (value: unknown) => {
    const base = await versionOf(type, wanted)
    keepDraft({ type, id: wanted, base, value: { ...Object(value), id: wanted } })
    go(reviewPath)
  }
  return (
    <>
      <p className="crumb">
        <Link to={backTo('/console/registry')}>← Registry</Link>
      </p>
      <div className="page-head">
        <h1>New {wordsOfType(type)}</h1>
      </div>
      <DraftBar drafts={drafts} />
      <Card>
        <p className="hint">{kind.about}</p>
        <Editor
          type={type}
          value={kind.fresh()}
          onDone={(value) => void keep(value)}
          onCancel={() => go(backTo('/console/registry'))}
        >
          <div className="field">
            <label htmlFor="new-id">Id</label>
            <input
              id="new-id"
              value={id}
              placeholder={kind.example}
              autoComplete="off"
              required
              aria-describedby="new-id-hint"
              onChange={({ currentTarget }) => setId(currentTarget.value)}
            />
            <small id="new-id-hint">How the registry and the evidence name it. It never changes.</small>
          </div>
        </Editor>
      </Card>
    </>
  )
}

/** Of an entity that was retired, or 0. One that exists is shown as a conflict. */
async function versionOf(type: string, id: string): Promise<number> {
  try {
    const { version, value } = await api<ReadEntityAnswer>(entityApi(type, id))
    return value === null ? version : 0
  } catch {
    return 0
  }
}
