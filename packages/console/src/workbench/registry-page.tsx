import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { api, query } from '../api.ts'
import { go, Link, useParameters } from '../router.tsx'
import type { ListEntitiesAnswer, ListRequestsAnswer, Me, RegistryEntry, RequestRow } from '../types.ts'
import { More, SearchBox, Sighted, Tabs } from '../ui/lists.tsx'
import { number } from '../ui/numbers.ts'
import { usePages } from '../ui/pages.ts'
import { Empty, Failed, Lines, Loading, RiskBadge, StateBadge } from '../ui/parts.tsx'
import { Ago, Countdown } from '../ui/time.tsx'
import { useTitle } from '../ui/title.ts'
import { Visible } from '../ui/visible.tsx'
import { DraftBar } from './draft-bar.tsx'
import { useDrafts } from './drafts.ts'
import { entityKinds, madeHere, wordsOfType } from './entity-fields.ts'
import { entityPath } from './entity-page.tsx'
import './workbench.css'

/** The registry: every entry, found by any of its words, and the changes that wait for signatures. */
export function RegistryPage({ me }: { me: Me }) {
  useTitle('Registry')
  return (
    <>
      <div className="page-head">
        <h1>Registry</h1>
        <p className="hint">
          Who and what exists. People sign every change of these entries with passkeys, and every reader checks it.
        </p>
      </div>
      <DraftBar drafts={useDrafts(me.me.id)} />
      <Changes />
      <Entries />
    </>
  )
}

const states = { pending: 'Proposed', answered: 'Answered' } as const

function Changes() {
  const [{ state: wanted = 'pending' }, change] = useParameters('state')
  const state = (wanted in states ? wanted : 'pending') as keyof typeof states
  const changes = usePages<RequestRow, ListRequestsAnswer>(['requests', 'registry', state], (range) =>
    api(`/requests${query({ state, kind: 'registry', ...range })}`),
  )
  return (
    <section>
      <div className="page-head">
        <h2>Changes</h2>
        <Tabs label="Which changes" options={states} value={state} onChange={(state) => change({ state })} />
      </div>
      {changes.isPending ? <Loading /> : null}
      {changes.error ? <Failed error={changes.error} /> : null}
      {changes.first && changes.items.length === 0 ? (
        <p className="hint">
          {state === 'pending'
            ? 'No change waits for signatures. Open an entry below to change it.'
            : 'No change was answered lately.'}
        </p>
      ) : null}
      {changes.pages.map((rows, n) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: pages are known by their place
        <Sighted key={n} page={n} onSeen={changes.onSeen}>
          <ul className="rows">
            {rows.map((row) => (
              <li key={row.id}>
                <ChangeRow row={row} />
              </li>
            ))}
          </ul>
        </Sighted>
      ))}
      <More list={changes} />
    </section>
  )
}

function ChangeRow({ row }: { row: RequestRow }) {
  const waiting = row.state === 'pending'
  return (
    <article className={`row ${waiting ? `edge-${row.risk.level}` : ''}`} data-request={row.id}>
      <div className="row-badges">
        {waiting ? <RiskBadge risk={row.risk} /> : <StateBadge state={row.state} />}
        <span className="row-time">
          {waiting ? (
            <>
              answer within <Countdown iso={row.expires_at} />
            </>
          ) : (
            <Ago iso={row.changed_at} />
          )}
        </span>
      </div>
      <h3 className="row-title">
        <Link to={`/console/requests/${row.id}`}>
          <Visible text={row.subject} />
        </Link>
        <span className="group-note">
          proposed by <Visible text={row.proposer ?? ''} />
          {waiting && row.quorum !== null ? `, signed by ${row.signed_by.length} of ${row.quorum}` : ''}
        </span>
      </h3>
      {row.lines.length > 1 ? <Lines lines={row.lines.slice(0, 4)} /> : null}
    </article>
  )
}

function Entries() {
  const [{ q = '', type, retired }, change] = useParameters('q', 'type', 'retired')
  const isKnown = type === undefined || Object.hasOwn(entityKinds, type)
  const wanted = { q, type: isKnown ? type : undefined, retired: retired === undefined ? undefined : 'true' }
  const list = useQuery({
    queryKey: ['registry', 'list', q, wanted.type, wanted.retired],
    queryFn: () => api<ListEntitiesAnswer>(`/registry${query(wanted)}`),
    placeholderData: (before) => before,
  })
  const types = list.data?.types as Partial<Record<string, number>> | undefined
  return (
    <section className="below">
      <div className="page-head">
        <h2>Entries</h2>
        <label className="new-entry">
          <span className="hidden">Register something new</span>
          <select value="" onChange={({ currentTarget: { value } }) => go(`/console/registry/${value}`)}>
            <option value="">Register…</option>
            {madeHere.map(([name, { one }]) => (
              <option key={name} value={name}>
                {one}
              </option>
            ))}
          </select>
        </label>
      </div>
      <div className="toolbar">
        <SearchBox label="Search by id, owner, label, group …" value={q} onSearch={(q) => change({ q })} />
        <label className="check">
          <input
            type="checkbox"
            checked={wanted.retired !== undefined}
            onChange={({ currentTarget: { checked } }) => change({ retired: checked ? 'true' : undefined })}
          />
          Retired ones, too
        </label>
      </div>
      <fieldset className="chips">
        <legend className="hidden">Which entries</legend>
        <Chip isOn={wanted.type === undefined} onPress={() => change({ type: undefined })}>
          All
        </Chip>
        {Object.entries(entityKinds).map(([name, { many }]) =>
          types?.[name] || wanted.type === name ? (
            <Chip key={name} isOn={wanted.type === name} onPress={() => change({ type: name })}>
              {many} <span className="table-note">{number(types?.[name] ?? 0)}</span>
            </Chip>
          ) : null,
        )}
      </fieldset>
      {list.error ? <Failed error={list.error} /> : null}
      {list.isPending ? <Loading /> : null}
      {list.data?.items.length === 0 ? (
        <Empty title={q === '' ? 'There is none.' : 'Nothing matches.'} />
      ) : (
        <ul className="table entries">
          {list.data?.items.map((entry) => (
            <li key={`${entry.type} ${entry.id}`}>
              <Entry entry={entry} />
            </li>
          ))}
        </ul>
      )}
      {list.data && list.data.total > list.data.items.length ? (
        <p className="hint">
          The first {number(list.data.items.length)} of {number(list.data.total)}: search for the others.
        </p>
      ) : null}
    </section>
  )
}

function Chip({ isOn, onPress, children }: { isOn: boolean; onPress(): void; children: ReactNode }) {
  return (
    <button type="button" aria-pressed={isOn} onClick={onPress}>
      {children}
    </button>
  )
}

function Entry({
  entry: { type, id, name, gist, version, changed_at, signed_by, retired, proposed },
}: {
  entry: RegistryEntry
}) {
  return (
    <>
      <span className="table-main">
        <Link to={entityPath(type, id)}>
          <Visible text={name ?? id} />
        </Link>
        {name === null ? null : (
          <span className="id">
            <Visible text={id} />
          </span>
        )}
        {retired ? <span className="badge state-revoked">Retired</span> : null}
        {proposed ? <span className="badge state-pending">Change proposed</span> : null}
        <span className="entry-gist">
          <Visible text={gist} />
        </span>
      </span>
      <span className="badge">{wordsOfType(type)}</span>
      <span className="table-note entry-age">
        {signed_by.length === 0 ? `version ${number(version)}` : <Visible text={signed_by.join(', ')} />},{' '}
        <Ago iso={changed_at} />
      </span>
    </>
  )
}
