import { Link } from '../router.tsx'
import { attestorWords, modeWords } from '../ui/parts.tsx'
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
    case 'person':
      return (
        <Link to={`/console/registry/approver/${encodeURIComponent(String(member))}`}>
          <Visible text={String(member)} />
        </Link>
      )
    case 'attestor':
      return <ProvesBy attestor={member as Attestor} />
    case 'jwk':
      return <Key jwk={member as Jwk} />
    case 'json':
      return (
        <pre className="member">
          <Visible text={textKinds.json.spell(member)} lines />
        </pre>
      )
    case 'lines':
    case 'scopes':
    case 'asked':
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

type Jwk = Partial<Record<'kty' | 'crv' | 'x', string>>
type Attestor = { kind: string; keys?: { instance: string; jwk: Jwk }[] } & Record<string, unknown>

/** A public key by its kind and its beginning: enough to tell it from another one. The whole is in the JSON. */
function Key({ jwk: { kty = '', crv = '', x = '' } }: { jwk: Jwk }) {
  return (
    <>
      <Visible text={`${kty} ${crv}`.trim()} />{' '}
      <code>
        <Visible text={`${x.slice(0, 12)}…`} />
      </code>
    </>
  )
}

function ProvesBy({ attestor: { kind, keys, ...terms } }: { attestor: Attestor }) {
  return (
    <>
      {attestorWords[kind] ?? kind}
      {keys === undefined ? null : (
        <ul className="member-lines">
          {keys.map(({ instance, jwk }) => (
            <li key={instance}>
              instance <Visible text={instance} />: <Key jwk={jwk} />
            </li>
          ))}
        </ul>
      )}
      {Object.keys(terms).length === 0 ? null : (
        <pre className="member">
          <Visible text={textKinds.json.spell(terms)} lines />
        </pre>
      )}
    </>
  )
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
