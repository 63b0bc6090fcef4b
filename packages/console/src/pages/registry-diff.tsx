import type { EntityDiff } from '../types.ts'
import { Visible } from '../ui/visible.tsx'
import { Difference } from './evidence.tsx'

const verbs = { register: 'Register', change: 'Change', retire: 'Retire' }

/** What goes and what comes, leaf by leaf. */
export function RegistryDiff({ diff }: { diff: EntityDiff[] }) {
  return (
    <div className="entity-diffs">
      {diff.map(({ type, id, verb, before, after }) => (
        <section key={`${type} ${id}`}>
          <h3>
            {verbs[verb]} {type} <Visible text={id} />
          </h3>
          <Difference {...differenceOf(flat(before), flat(after))} />
        </section>
      ))}
    </div>
  )
}

function differenceOf(before: Map<string, string>, after: Map<string, string>) {
  const only = (here: Map<string, string>, there: Map<string, string>) =>
    [...here].filter(([path, value]) => there.get(path) !== value).map(([path, value]) => `${path}: ${value}`)
  return { removed: only(before, after), added: only(after, before) }
}

/** Every leaf by JSON pointer; what is empty is a leaf too, or it would come and go unseen. */
function flat(value: unknown, path = '', into = new Map<string, string>()): Map<string, string> {
  if (value === null || value === undefined) return into
  const members = typeof value === 'object' ? Object.entries(value) : []
  if (members.length === 0) into.set(path, JSON.stringify(value))
  for (const [key, member] of members) flat(member, `${path}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`, into)
  return into
}
