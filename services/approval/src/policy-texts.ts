import type { Entity, EntityChange, PolicySet } from '@bailiwick/contracts'
import { jcsHash } from '@bailiwick/credentials'
import { paths, policySetOf, readPolicyFiles } from '@bailiwick/installation'

/** What a policy set says, by file. */
export type PolicyText = Readonly<Record<string, string>>

/** The text of a set; undefined: it is not here, is not what its hash says, or cannot be shown to people. */
export type ReadPolicyText = (set: PolicySet) => PolicyText | undefined

/** More than any page shows. */
const mostBytes = 1024 * 1024

/** Reads sets from the folder into which `bailiwick init` and `policy propose` lay them, beside this service's socket. */
export function policyTexts(data: string): ReadPolicyText {
  return ({ hash, files: named }) => {
    try {
      const files = readPolicyFiles(paths(data).policies(hash))
      // The registry's own list of files is shown too: one of another set would be a lie beside the text.
      if (policySetOf(files).hash !== hash || jcsHash(named) !== hash) return undefined
      const bytes = [...files.values()].reduce((sum, { length }) => sum + length, 0)
      return bytes > mostBytes ? undefined : Object.fromEntries([...files].map(([name, text]) => [name, utf8(text)]))
    } catch {
      return undefined
    }
  }
}

// What is shown is encoded and hashed again in the page: not a byte may get lost, a byte order mark neither.
const utf8 = (bytes: Uint8Array) => new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)

/** What policies say before and after a change, for its page. */
export function policyTextOf(
  read: ReadPolicyText,
  { type, before, after }: { type: string; before: Entity | null; after: Entity | null },
) {
  if (type !== 'policy-set') return {}
  const text = (set: Entity | null) => (set === null ? null : (read(set as PolicySet) ?? null))
  return { text: { before: text(before), after: text(after) } }
}

/** Policies of this change that nobody can read here. */
export function unreadablePolicies(
  read: ReadPolicyText,
  { entities }: { entities: readonly EntityChange[] },
): string[] {
  return entities.flatMap(({ type, id, value }) =>
    type === 'policy-set' && value !== undefined && read(value as PolicySet) === undefined
      ? [`${type} ${id}: what its policies say is not here, or is not what its hash says`]
      : [],
  )
}
