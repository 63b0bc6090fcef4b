import { useQuery } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import { api } from '../api.ts'
import { go } from '../router.tsx'
import type { CheckPoliciesAnswer, Me, ReadPoliciesAnswer } from '../types.ts'
import { Tabs } from '../ui/lists.tsx'
import { Card, Empty, Failed, Loading } from '../ui/parts.tsx'
import { Visible } from '../ui/visible.tsx'
import { AddByName } from './add-by-name.tsx'
import { CodeEditor } from './code-editor.tsx'
import { dropDraft, keepDraft, useDrafts } from './drafts.ts'
import { reviewPath } from './entity-page.tsx'
import { ExplainView } from './explain-view.tsx'
import {
  type Files,
  inOrder,
  isPolicies,
  lineIn,
  nameProblem,
  policyEntity,
  sameFiles,
  type WantedPolicies,
} from './policy-files.ts'
import { ReplayView } from './replay-view.tsx'

/** The active policies, and what this person changed of them: edited, checked, tested and asked before anyone is asked to sign. */
export function PoliciesView({ me }: { me: Me }) {
  const active = useQuery({ queryKey: ['rules', 'policies'], queryFn: () => api<ReadPoliciesAnswer>('/policies') })
  const draft = useDrafts(me.me.id).find(isPolicies)
  if (active.data === undefined) return active.error ? <Failed error={active.error} /> : <Loading />
  const { files, policy_set, version } = active.data
  if (files === null && draft === undefined)
    return (
      <Empty title={policy_set === null ? 'There is no policy set: every action is denied.' : 'Its text is not here.'}>
        <p>
          {policy_set === null ? 'Propose one' : 'It is on the machine of the decision point'}:{' '}
          <code>bailiwick policy propose DIR</code>
        </p>
      </Empty>
    )
  const first = files ?? {}
  const wanted = (draft?.value as WantedPolicies | undefined) ?? { files: first }
  const change = (next: Files) => {
    if (sameFiles(next, first)) dropDraft(policyEntity)
    else keepDraft({ ...policyEntity, base: draft?.base ?? version, value: { ...wanted, files: next } })
  }
  const base = draft?.base ?? version
  return <Policies active={first} files={wanted.files} base={base} isChanged={draft !== undefined} onChange={change} />
}

const tools = { check: 'Check', explain: 'Ask and explain', tests: 'Tests', replay: 'Replay' } as const

function Policies({
  active,
  files,
  base,
  isChanged,
  onChange,
}: {
  active: Files
  files: Files
  base: number
  isChanged: boolean
  onChange(files: Files): void
}) {
  const names = inOrder(files)
  const [chosen, setChosen] = useState(names[0] ?? '')
  const [tool, setTool] = useState<keyof typeof tools>('check')
  const [tests, setTests] = useState('')
  const name = names.includes(chosen) ? chosen : (names[0] ?? '')
  const checked = useChecked(files, tests)
  const findings = checked.data?.findings ?? []
  const gone = Object.keys(active).filter((each) => !Object.hasOwn(files, each))
  const marked = findings.filter((each) => each.file === name).flatMap(({ message }) => lineIn(message) ?? [])
  return (
    <div className="policies">
      <section aria-label="Files of the policy set" className="policy-files">
        <ul>
          {names.map((each) => {
            const errors = findings.filter(({ file, level }) => file === each && level === 'error').length
            return (
              <li key={each}>
                <button type="button" aria-pressed={each === name} onClick={() => setChosen(each)}>
                  <Visible text={each} />
                  {errors > 0 ? <span className="badge state-denied">{errors}</span> : null}
                  {files[each] === active[each] ? null : (
                    <span className="table-note">{Object.hasOwn(active, each) ? 'changed' : 'new'}</span>
                  )}
                </button>
              </li>
            )
          })}
          {gone.map((each) => (
            <li key={each}>
              <button type="button" onClick={() => onChange({ ...files, [each]: active[each] ?? '' })}>
                <s>
                  <Visible text={each} />
                </s>
                <span className="table-note">removed: put it back</span>
              </button>
            </li>
          ))}
        </ul>
        <NewFile
          files={files}
          onAdd={(added) => {
            onChange({
              ...files,
              [added]:
                added === 'schema.cedarschema'
                  ? ''
                  : `@id("${added.replace(/\.\w+$/, '')}")\nforbid (principal, action, resource)\nwhen { false };\n`,
            })
            setChosen(added)
          }}
        />
      </section>
      <section className="policy-edit" aria-label={`Text of ${name}`}>
        <div className="card-head">
          <h2>
            <Visible text={name} />
          </h2>
          <span className="row-badges">
            {files[name] === active[name] || !Object.hasOwn(active, name) ? null : (
              <button
                type="button"
                className="quiet"
                onClick={() => onChange({ ...files, [name]: active[name] ?? '' })}
              >
                Put it back
              </button>
            )}
            {names.length > 1 ? (
              <button type="button" className="quiet" onClick={() => onChange(without(files, name))}>
                Remove this file
              </button>
            ) : null}
          </span>
        </div>
        <CodeEditor
          key={name}
          label={`Text of ${name}`}
          text={files[name] ?? ''}
          marked={marked}
          onChange={(text) => onChange({ ...files, [name]: text })}
        />
        <div className="actions">
          <button type="button" className="primary" disabled={!isChanged} onClick={() => go(reviewPath)}>
            Review the change
          </button>
          {isChanged ? (
            <button type="button" onClick={() => onChange(active)}>
              Drop my changes
            </button>
          ) : null}
        </div>
      </section>
      <Card className="policy-tools">
        <Tabs label="What to do with them" options={tools} value={tool} onChange={setTool} />
        {tool === 'check' ? <Findings checked={checked} onOpen={setChosen} /> : null}
        {tool === 'explain' ? (
          <ExplainView
            files={files}
            onTest={(test) => {
              setTests(`${tests.trimEnd()}${tests.trim() === '' ? '' : '\n'}${test}`)
              setTool('tests')
            }}
          />
        ) : null}
        {tool === 'replay' ? <ReplayView files={files} base={base} /> : null}
        {tool === 'tests' ? <Tests tests={tests} checked={checked} onChange={setTests} /> : null}
      </Card>
    </div>
  )
}

const without = (files: Files, name: string): Files =>
  Object.fromEntries(Object.entries(files).filter(([each]) => each !== name))

type Checked = ReturnType<typeof useChecked>

/** Checks on the server, once the person has stopped typing. */
function useChecked(files: Files, tests: string) {
  const [asked, setAsked] = useState({ files, tests })
  useEffect(() => {
    const timer = setTimeout(() => setAsked({ files, tests }), 900)
    return () => clearTimeout(timer)
  }, [files, tests])
  const found = useQuery({
    queryKey: ['policies', 'check', asked],
    queryFn: () =>
      api<CheckPoliciesAnswer>('/policies/check', {
        files: asked.files,
        ...(asked.tests.trim() === '' ? {} : { tests: { 'tests/draft.yaml': asked.tests } }),
      }),
    placeholderData: (before) => before,
    staleTime: Number.POSITIVE_INFINITY,
    retry: false,
  })
  return { ...found, isBehind: found.isFetching || asked.files !== files || asked.tests !== tests }
}

function Findings({ checked: { data, error, isBehind }, onOpen }: { checked: Checked; onOpen(file: string): void }) {
  if (error) return <Failed error={error} />
  if (data === undefined) return <Loading />
  const errors = data.findings.filter(({ level }) => level === 'error').length
  const warnings = data.findings.length - errors
  return (
    <>
      <p role="status" className={data.loads ? 'note' : 'note bad'}>
        {isBehind
          ? 'Checking …'
          : data.loads
            ? 'A decision point would load this set.'
            : 'No decision point would load this set.'}{' '}
        {errors === 1 ? '1 error' : `${errors} errors`}, {warnings === 1 ? '1 warning' : `${warnings} warnings`}.
      </p>
      <ul className="findings">
        {data.findings.map(({ level, file, policy_id, message }) => (
          <li key={`${file} ${policy_id} ${message}`}>
            <span className={level === 'error' ? 'badge state-denied' : 'badge state-pending'}>{level}</span>{' '}
            <button type="button" className="link" onClick={() => onOpen(file)}>
              <Visible text={file} />
            </button>{' '}
            {policy_id === undefined ? null : (
              <code>
                <Visible text={policy_id} />
              </code>
            )}{' '}
            <Visible text={message} />
          </li>
        ))}
      </ul>
    </>
  )
}

function Tests({
  tests,
  checked: { data, error, isBehind },
  onChange,
}: {
  tests: string
  checked: Checked
  onChange(tests: string): void
}) {
  const failed = data?.tests?.filter(({ failure }) => failure) ?? []
  return (
    <>
      <label className="field">
        <span>Tests, as in tests/*.yaml of a policy directory</span>
        <textarea
          className="code"
          rows={10}
          spellCheck={false}
          value={tests}
          onChange={({ currentTarget }) => onChange(currentTarget.value)}
        />
        <small>They stay in this page. “Ask and explain” writes one for you.</small>
      </label>
      {error ? <Failed error={error} /> : null}
      {data?.tests_problem ? (
        <p className="note bad">
          <Visible text={data.tests_problem} />
        </p>
      ) : null}
      {tests.trim() === '' || !data ? null : data.tests === null ? (
        <p className="note bad">They cannot run: the set does not load.</p>
      ) : (
        <p role="status" className={failed.length > 0 ? 'note bad' : 'note'}>
          {isBehind
            ? 'Running …'
            : `${data.tests.length === 1 ? '1 test' : `${data.tests.length} tests`}, ${failed.length} failed.`}
        </p>
      )}
      <ul className="findings">
        {failed.map(({ file, name, failure }) => (
          <li key={`${file} ${name}`}>
            <strong>
              <Visible text={name} />
            </strong>
            : expected <Visible text={failure?.expected ?? ''} />, got <Visible text={failure?.got ?? ''} />
          </li>
        ))}
      </ul>
    </>
  )
}

function NewFile({ files, onAdd }: { files: Files; onAdd(name: string): void }) {
  const [name, setName] = useState('')
  const [problem, setProblem] = useState<string>()
  const add = () => {
    const wrong = nameProblem(name.trim(), files)
    setProblem(wrong)
    if (wrong !== undefined) return
    onAdd(name.trim())
    setName('')
  }
  return (
    <div className="field">
      <AddByName label="Name of a new file" placeholder="payments.cedar" name={name} onName={setName} onAdd={add} />
      {problem === undefined ? null : <small role="alert">{problem}</small>}
    </div>
  )
}
