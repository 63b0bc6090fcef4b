import type { EntityDiff, Rule } from '../types.ts'
import { Visible } from '../ui/visible.tsx'
import { Difference, type DiffLine } from './evidence.tsx'
import { PolicyText } from './policy-text.tsx'
import { RuleSentence } from './rules.tsx'

const verbs = { register: 'Register', change: 'Change', retire: 'Retire' }

/** What is removed and what is added, leaf by leaf. */
export function RegistryDiff({ diff }: { diff: EntityDiff[] }) {
  return (
    <div className="entity-diffs">
      {diff.map(({ type, id, verb, before, after, effect, text }) => (
        <section key={`${type} ${id}`}>
          <h3>
            {verbs[verb]} {type} <Visible text={id} />
          </h3>
          {effect === undefined ? null : (
            <p className="sentence">
              <Visible text={effect} />
            </p>
          )}
          {type === 'rule' && verb !== 'retire' ? <RuleSentence rule={after as Rule} /> : null}
          <Difference lines={differenceOf(flat(before), flat(after))} />
          {text === undefined ? null : <PolicyText text={text} />}
        </section>
      ))}
    </div>
  )
}

/** Path by path, so that the old value is directly above the new one. */
function differenceOf(before: Map<string, string>, after: Map<string, string>): DiffLine[] {
  return [...new Set([...before.keys(), ...after.keys()])].flatMap((path) => {
    const [then, now] = [before.get(path), after.get(path)]
    if (then === now) return []
    return [
      ...(then === undefined ? [] : [['removed', spelled(`${path}: ${then}`)] as const]),
      ...(now === undefined ? [] : [['added', spelled(`${path}: ${now}`)] as const]),
    ]
  })
}

/** Adds a spelling of all non-ASCII characters, because a name that looks like another one is a different name. */
function spelled(text: string): string {
  if (/^[ -~]*$/.test(text)) return text
  const code = (char: string) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`
  return `${text} (spelled ${text.replaceAll(/[^ -~]/g, code)})`
}

/**
 * Every leaf by JSON pointer. A list of strings or numbers is one leaf. So is an empty value, because it would
 * otherwise appear and disappear unseen.
 */
function flat(value: unknown, path = '', into = new Map<string, string>()): Map<string, string> {
  if (value === null || value === undefined) return into
  const isPlainList = Array.isArray(value) && value.every((member) => typeof member !== 'object')
  const members = typeof value === 'object' && !isPlainList ? Object.entries(value) : []
  if (members.length === 0) into.set(path, JSON.stringify(value))
  for (const [key, member] of members) flat(member, `${path}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`, into)
  return into
}
