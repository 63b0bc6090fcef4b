import { useId, useState } from 'react'
import { modeWords } from '../ui/parts.tsx'
import { Visible } from '../ui/visible.tsx'
import { AddByName } from './add-by-name.tsx'
import { type Field, memberOf, withMember } from './entity-fields.ts'
import { isEmpty, isText, type TextKind, textKinds } from './field-texts.ts'
import type { Tools } from './field-view.tsx'

/** The groups and people that a form offers where a member names one. */
export interface Choices {
  groups: readonly string[]
  people: readonly { id: string; name: string }[]
}

interface Edited {
  field: Field
  value: unknown
  choices: Choices
  /** undefined: what the person typed is no value yet. */
  onChange(value: unknown, problem?: string): void
}

/** One member of an entity, in a form. */
export function FieldInput({ field, value, choices, onChange }: Edited) {
  const { path, kind, optional, label, hint } = field
  const member = memberOf(value, path)
  const change = (next: unknown, problem?: string) =>
    onChange(withMember(value, path, optional && isEmpty(next) ? undefined : next), problem)
  if (isText(kind)) return <TextField key={label} field={field} kind={kind} member={member} onChange={change} />
  switch (kind) {
    case 'yes':
      return (
        <div className="field">
          <label className="check">
            <input
              type="checkbox"
              checked={member === true}
              onChange={({ currentTarget: { checked } }) => change(optional && !checked ? undefined : checked)}
            />
            {label}
          </label>
          <Hint text={hint} />
        </div>
      )
    case 'modes':
      return (
        <Boxes
          {...{ label, hint, onChange: change }}
          options={Object.entries(modeWords)}
          chosen={(member ?? []) as string[]}
        />
      )
    case 'groups':
      return (
        <Boxes
          {...{ label, hint, onChange: change }}
          options={[...new Set([...choices.groups, ...((member ?? []) as string[])])].map((id) => [id, id])}
          chosen={(member ?? []) as string[]}
          more="Another group"
        />
      )
    case 'tools':
      return <ToolsField label={label} hint={hint} tools={(member ?? {}) as Tools} onChange={change} />
    default:
      return <ChoiceField field={field} member={member} choices={choices} onChange={change} />
  }
}

function Hint({ text, id }: { text: string | undefined; id?: string }) {
  return text === undefined ? null : <small id={id}>{text}</small>
}

const rowsOf = (text: string) => Math.min(18, Math.max(2, text.split('\n').length))

/** Keeps what the person types, and tells what it means: half a number is not a number yet. */
function TextField({
  field: { label, hint },
  kind,
  member,
  onChange,
}: {
  field: Field
  kind: TextKind
  member: unknown
  onChange(value: unknown, problem?: string): void
}) {
  const [text, setText] = useState<string>(() => textKinds[kind].spell(member))
  const [problem, setProblem] = useState<string>()
  const id = useId()
  const isOneLine = kind === 'line' || kind === 'whole' || kind === 'seconds' || kind === 'labels'
  const type = (typed: string) => {
    setText(typed)
    const read = textKinds[kind].read(typed)
    setProblem(read.ok ? undefined : read.problem)
    if (read.ok) onChange(read.value)
    else onChange(member, `${label}: ${read.problem}`)
  }
  const common = {
    id,
    value: text,
    autoComplete: 'off',
    spellCheck: false,
    'aria-describedby': `${id}-hint`,
    'aria-invalid': problem !== undefined,
  }
  return (
    <div className={['json', 'jwk', 'attestor'].includes(kind) ? 'field whole' : 'field'}>
      <label htmlFor={id}>
        <Visible text={label} />
      </label>
      {isOneLine ? (
        <input
          {...common}
          inputMode={kind === 'whole' ? 'numeric' : undefined}
          onChange={({ currentTarget }) => type(currentTarget.value)}
        />
      ) : (
        <textarea
          {...common}
          className={['json', 'jwk', 'attestor'].includes(kind) ? 'code' : undefined}
          rows={rowsOf(text)}
          onChange={({ currentTarget }) => type(currentTarget.value)}
        />
      )}
      <Hint id={`${id}-hint`} text={problem ?? hint ?? ''} />
    </div>
  )
}

function Boxes({
  label,
  hint,
  options,
  chosen,
  more,
  onChange,
}: {
  label: string
  hint: string | undefined
  options: readonly (readonly [string, string])[]
  chosen: readonly string[]
  /** The label of a field for one that is not listed. */
  more?: string
  onChange(chosen: string[]): void
}) {
  const [other, setOther] = useState('')
  const add = () => {
    if (/^\S+$/.test(other)) onChange([...chosen, other])
    setOther('')
  }
  return (
    <fieldset>
      <legend>{label}</legend>
      <Hint text={hint} />
      {options.map(([name, words]) => (
        <label key={name} className="check">
          <input
            type="checkbox"
            checked={chosen.includes(name)}
            onChange={({ currentTarget: { checked } }) =>
              onChange(checked ? [...chosen, name] : chosen.filter((each) => each !== name))
            }
          />
          <Visible text={words} />
        </label>
      ))}
      {more === undefined ? null : <AddByName label={more} name={other} onName={setOther} onAdd={add} />}
    </fieldset>
  )
}

function ChoiceField({
  field: { label, hint, kind, words = {} },
  member,
  choices,
  onChange,
}: {
  field: Field
  member: unknown
  choices: Choices
  onChange(value: unknown): void
}) {
  const id = useId()
  const value = String(member ?? '')
  const options: (readonly [string, string])[] =
    kind === 'person'
      ? choices.people.map(({ id, name }) => [id, `${name} (${id})`])
      : kind === 'group'
        ? choices.groups.map((group) => [group, group])
        : Object.entries(words)
  const isListed = options.some(([name]) => name === value)
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {kind === 'group' ? (
        // A group exists once someone is in it, so a new name is one, too.
        <>
          <input
            id={id}
            value={value}
            list={`${id}-list`}
            autoComplete="off"
            onChange={({ currentTarget }) => onChange(currentTarget.value.trim())}
          />
          <datalist id={`${id}-list`}>
            {options.map(([name]) => (
              <option key={name} value={name} />
            ))}
          </datalist>
        </>
      ) : (
        <select id={id} value={value} onChange={({ currentTarget }) => onChange(currentTarget.value)}>
          {isListed ? null : <option value={value}>{value === '' ? 'Choose…' : value}</option>}
          {options.map(([name, text]) => (
            <option key={name} value={name}>
              {text}
            </option>
          ))}
        </select>
      )}
      <Hint text={hint} />
    </div>
  )
}

/** The tools of a server, each with its labels. */
function ToolsField({
  label,
  hint,
  tools,
  onChange,
}: {
  label: string
  hint: string | undefined
  tools: Tools
  onChange(tools: Tools, problem?: string): void
}) {
  const [name, setName] = useState('')
  const add = () => {
    const wanted = name.trim()
    if (wanted !== '' && !Object.hasOwn(tools, wanted)) onChange({ ...tools, [wanted]: { labels: [] } })
    setName('')
  }
  return (
    <fieldset className="tools-field">
      <legend>{label}</legend>
      <Hint text={hint} />
      {Object.entries(tools).map(([tool, said]) => (
        <div key={tool} className="tool-row">
          <TextField
            field={{ path: [], label: tool, kind: 'labels' }}
            kind="labels"
            member={said.labels}
            onChange={(labels, problem) =>
              onChange({ ...tools, [tool]: { ...said, labels: labels as string[] } }, problem)
            }
          />
          <button
            type="button"
            className="quiet"
            aria-label={`Remove ${tool}`}
            onClick={() => onChange(Object.fromEntries(Object.entries(tools).filter(([each]) => each !== tool)))}
          >
            Remove
          </button>
        </div>
      ))}
      <AddByName label="Name of another tool" name={name} onName={setName} onAdd={add} />
    </fieldset>
  )
}
