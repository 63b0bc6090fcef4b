import type { EntityDraft } from './drafts.ts'

export type Files = Readonly<Record<string, string>>

/** The value of a draft of the policy set. Other drafts have an entity there. */
export interface WantedPolicies {
  files: Files
  permits_nothing?: true
}

export const policyEntity = { type: 'policy-set', id: 'active' } as const

export const isPolicies = ({ type }: Pick<EntityDraft, 'type'>): boolean => type === policyEntity.type

/** Why a file cannot have this name; undefined: it can. */
export function nameProblem(name: string, files: Files): string | undefined {
  if (Object.hasOwn(files, name)) return 'There is a file of this name already.'
  if (['schema.cedarschema', 'entities.json', 'authzen.yaml'].includes(name)) return undefined
  return /^[A-Za-z0-9._-]{1,121}\.cedar$/.test(name) ? undefined : 'A name such as payments.cedar'
}

/** The schema last: people come for the policies. */
export const inOrder = (files: Files): string[] =>
  Object.keys(files).sort(
    (a, b) => Number(a.endsWith('.cedarschema')) - Number(b.endsWith('.cedarschema')) || (a < b ? -1 : 1),
  )

export const sameFiles = (a: Files, b: Files): boolean => {
  const names = [...new Set([...Object.keys(a), ...Object.keys(b)])]
  return names.every((name) => a[name] === b[name])
}

/** The line that Cedar's message names, from 1. */
export function lineIn(message: string): number | undefined {
  const found = /^line (\d+):/.exec(message)
  return found === null ? undefined : Number(found[1])
}

/** The change as the page sends it to the server: the entities, and the policies beside them. */
export function asWanted(drafts: readonly EntityDraft[]) {
  const policies = drafts.find(isPolicies)?.value as WantedPolicies | undefined
  const entities = drafts.map((draft) => {
    const { type, id, base, value } = draft
    return isPolicies(draft) ? { type, id, base } : { type, id, base, value }
  })
  return policies === undefined ? { entities } : { entities, policies }
}
