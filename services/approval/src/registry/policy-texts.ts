import type { Entity, EntityChange, PolicySet } from '@bailiwick/contracts'
import { jcsHash } from '@bailiwick/credentials'
import { paths, policySetOf, readPolicyFiles } from '@bailiwick/installation'

/** The text of a policy set, by file. */
export type PolicyText = Readonly<Record<string, string>>

/** The text of a set; undefined if it is not here, does not match its hash, or cannot be shown to people. */
export type ReadPolicyText = (set: PolicySet) => PolicyText | undefined

/** More than any page shows. */
const mostBytes = 1024 * 1024

/** Reads sets from the folder next to this service's socket, where `bailiwick init` and `policy propose` put them. */
export function policyTexts(data: string): ReadPolicyText {
  return ({ hash, files: named }) => {
    try {
      const files = readPolicyFiles(paths(data).policies(hash))
      // The registry's own list of files is shown too, and must belong to the same set as the text.
      if (policySetOf(files).hash !== hash || jcsHash(named) !== hash) return undefined
      const bytes = [...files.values()].reduce((sum, { length }) => sum + length, 0)
      return bytes > mostBytes ? undefined : Object.fromEntries([...files].map(([name, text]) => [name, utf8(text)]))
    } catch {
      return undefined
    }
  }
}

// The page encodes and hashes the shown text again: it must not lose a byte, not even a byte order mark.
const utf8 = (bytes: Uint8Array) => new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)

/** The text of the policies before and after a change, for the change's page. */
export function policyTextOf(
  read: ReadPolicyText,
  { type, before, after }: { type: string; before: Entity | null; after: Entity | null },
) {
  if (type !== 'policy-set') return {}
  const text = (set: Entity | null) => (set === null ? null : (read(set as PolicySet) ?? null))
  return { text: { before: text(before), after: text(after) } }
}

/** Policies of this change whose text cannot be read here. */
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
