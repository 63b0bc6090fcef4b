import { modeWords } from '../ui/parts.tsx'
import { duration } from '../ui/time.tsx'
import { Visible } from '../ui/visible.tsx'
import { type Field, memberOf } from './entity-fields.ts'
import { isEmpty, textKinds } from './field-texts.ts'

/** A member of an entity, as people read it. */
export function FieldView({ field: { path, kind, words }, value }: { field: Field; value: unknown }) {
  const member = memberOf(value, path)
  if (kind === 'yes') return member === true ? 'yes' : 'no'
  if (isEmpty(member)) return <span className="table-note">none</span>
  switch (kind) {
    case 'seconds':
      return duration(Number(member))
    case 'modes':
      return (member as (keyof typeof modeWords)[]).map((mode) => modeWords[mode] ?? mode).join(', ')
    case 'choice':
      return <Visible text={words?.[String(member)] ?? String(member)} />
    case 'labels':
    case 'groups':
      return <Labels names={member as string[]} />
    case 'tools':
      return <Tools tools={member as Tools} />
    case 'json':
      return (
        <pre className="member">
          <Visible text={textKinds.json.spell(member)} lines />
        </pre>
      )
    case 'lines':
    case 'scopes':
    case 'amounts':
      return (
        <ul className="member-lines">
          {textKinds[kind]
            .spell(member)
            .split('\n')
            .map((line) => (
              <li key={line}>
                <Visible text={line} />
              </li>
            ))}
        </ul>
      )
    default:
      return <Visible text={String(member)} />
  }
}

export type Tools = Record<string, { labels: string[]; cost?: { amount: string; currency: string } }>

export function Labels({ names }: { names: readonly string[] }) {
  return (
    <span className="labels">
      {names.map((name) => (
        <span key={name} className={`label label-${name}`}>
          <Visible text={name} />
        </span>
      ))}
    </span>
  )
}

function Tools({ tools }: { tools: Tools }) {
  return (
    <ul className="tools">
      {Object.entries(tools).map(([name, { labels, cost }]) => (
        <li key={name}>
          <strong>
            <Visible text={name} />
          </strong>
          {labels.length === 0 ? <span className="table-note">no labels</span> : <Labels names={labels} />}
          {cost === undefined ? null : (
            <span className="table-note">
              costs <Visible text={`${cost.amount} in ${cost.currency}`} />
            </span>
          )}
        </li>
      ))}
    </ul>
  )
}
