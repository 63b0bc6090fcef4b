import { type ReactNode, useState } from 'react'
import { Tabs } from '../ui/lists.tsx'
import { entityKinds, type Field } from './entity-fields.ts'
import { type Choices, FieldInput } from './field-input.tsx'
import { textKinds } from './field-texts.ts'

const ways = { form: 'Form', json: 'JSON' } as const

/** Edits an entity's value, member by member or as JSON. `onDone` gets the value; `onCancel` leaves everything as it was. */
export function EntityForm({
  type,
  value: first,
  choices,
  action,
  children,
  onDone,
  onCancel,
}: {
  type: string
  value: unknown
  choices: Choices
  action: string
  /** Fields before those of the entity. */
  children?: ReactNode
  onDone(value: unknown): void
  onCancel(): void
}) {
  const [value, setValue] = useState(first)
  const [way, setWay] = useState<keyof typeof ways>('form')
  const [problems, setProblems] = useState<ReadonlyMap<string, string>>(new Map())
  const change = (name: string) => (next: unknown, problem?: string) => {
    setValue(next)
    setProblems((now) => {
      const others = new Map([...now].filter(([each]) => each !== name))
      return problem === undefined ? others : others.set(name, problem)
    })
  }
  const fields = entityKinds[type]?.fields ?? []
  return (
    <form
      className="entity-form"
      onSubmit={(event) => {
        event.preventDefault()
        if (problems.size === 0) onDone(value)
      }}
    >
      {children}
      <Tabs
        label="How to edit"
        options={ways}
        value={way}
        onChange={(next) => {
          setWay(next)
          setProblems(new Map())
        }}
      />
      {way === 'form' ? (
        fields.map((field) => (
          <FieldInput key={nameOf(field)} {...{ field, value, choices }} onChange={change(nameOf(field))} />
        ))
      ) : (
        <Whole value={value} onChange={change('')} />
      )}
      {[...problems.values()].map((problem) => (
        <p key={problem} className="note bad" role="alert">
          {problem}
        </p>
      ))}
      <div className="actions">
        <button type="submit" className="primary" disabled={problems.size > 0}>
          {action}
        </button>
        <button type="button" onClick={onCancel}>
          Cancel
        </button>
      </div>
    </form>
  )
}

const nameOf = ({ path }: Field) => path.join('.')

function Whole({ value, onChange }: { value: unknown; onChange(value: unknown, problem?: string): void }) {
  const [text, setText] = useState(() => textKinds.json.spell(value))
  return (
    <label className="field whole">
      <span>The whole entry</span>
      <textarea
        className="code"
        rows={Math.min(30, text.split('\n').length + 1)}
        spellCheck={false}
        value={text}
        onChange={({ currentTarget: { value: typed } }) => {
          setText(typed)
          const read = textKinds.json.read(typed)
          if (read.ok && typeof read.value === 'object' && read.value !== null) onChange(read.value)
          else onChange(value, 'The whole entry: this is not a JSON object')
        }}
      />
    </label>
  )
}
