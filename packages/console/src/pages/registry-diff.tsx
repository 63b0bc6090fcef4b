import type { EntityDiff, Rule } from '../types.ts'
import { Visible } from '../ui/visible.tsx'
import { Difference, type DiffLine } from './evidence.tsx'
import { PolicyText } from './policy-text.tsx'
import { RuleSentence } from './rules.tsx'

const verbs = { register: 'Register', change: 'Change', retire: 'Retire' }

/** What goes and what comes, leaf by leaf. */
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

/** Place by place, so that what was there stands above what comes instead. */
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

/** Once more with the letters that could be taken for others: a name that looks like another one is another one. */
function spelled(text: string): string {
  if (/^[ -~]*$/.test(text)) return text
  const code = (char: string) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`
  return `${text} (spelled ${text.replaceAll(/[^ -~]/g, code)})`
}

/**
 * Every leaf by JSON pointer. A list of words or numbers is one leaf, and so is what is empty, or it would come and go
 * unseen.
 */
function flat(value: unknown, path = '', into = new Map<string, string>()): Map<string, string> {
  if (value === null || value === undefined) return into
  const isPlainList = Array.isArray(value) && value.every((member) => typeof member !== 'object')
  const members = typeof value === 'object' && !isPlainList ? Object.entries(value) : []
  if (members.length === 0) into.set(path, JSON.stringify(value))
  for (const [key, member] of members) flat(member, `${path}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`, into)
  return into
}
