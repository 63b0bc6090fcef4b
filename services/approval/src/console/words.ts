import { agentIdOf } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import type { RequestRecord } from '@bailiwick/projection'
import type { Approval } from '../context.ts'

const longestProse = 500

export const spelled = (ms: number | undefined): string => new Date(ms ?? 0).toISOString()

/** An agent's or a person's own words, to be shown as theirs and cut to a glance; or the reason why there are none to show. */
export function proseOf(
  { prose }: Approval,
  hashed: { salted_sha256: string } | undefined,
  most: number = longestProse,
) {
  if (hashed === undefined) return null
  const text = prose.text(hashed.salted_sha256)
  if (text === undefined) return { gone: prose.isErased(hashed.salted_sha256) ? 'erased' : 'not_kept' }
  const characters = [...text]
  return { text: characters.slice(0, most).join(''), cut: characters.length > most }
}

/** The whole text of the exact action, or why it cannot be shown; null if the ask brought only its digest. */
export function argumentsOf({ prose }: Approval, hashed: { salted_sha256: string } | undefined) {
  if (hashed === undefined) return null
  const text = prose.text(hashed.salted_sha256)
  return text === undefined ? { gone: prose.isErased(hashed.salted_sha256) ? 'erased' : 'not_kept' } : { text }
}

/** The people who signed the newest statement so far. */
export function signersOf({ projection }: Approval, { endorsements }: RequestRecord): string[] {
  const { registry } = projection.ledger
  const newest = endorsements.at(-1)?.statement_hash
  return endorsements
    .filter(({ statement_hash }) => statement_hash === newest)
    .map(({ assertion }) => registry.passkey(assertion.credential_id)?.approver.id ?? 'a person no longer enrolled')
}

/** The agent of an instance, as the registry has it now. */
export function agentView({ projection }: Approval, instance: string) {
  const { registry } = projection.ledger
  const id = agentIdOf(instance)
  const agent = registry.get('agent', id)
  const owner = agent && registry.get('approver', agent.owner)
  return {
    id,
    instance,
    name: agent?.name ?? null,
    owner: agent?.owner ?? null,
    owner_name: owner?.name ?? null,
    labels: agent?.labels ?? [],
    attestor: agent?.attestor.kind ?? null,
  }
}

/** The code of the error that `give` throws; otherwise what `give` returns. */
export function codeOf(give: () => string | undefined): string | undefined {
  try {
    return give()
  } catch (error) {
    if (error instanceof ServiceError) return error.code
    throw error
  }
}

export function orNothing<T>(give: () => T): T | undefined {
  try {
    return give()
  } catch (error) {
    if (error instanceof ServiceError) return undefined
    throw error
  }
}

/**
 * The actions and resources in an authority as it was sent. It is not parsed, because parsing the authority of every pending request
 * would block the process.
 */
export function doneIn(authority: unknown): string[] {
  const { permissions } = Object(authority)
  if (!Array.isArray(permissions)) return []
  return permissions.flatMap((permission) => {
    const { actions, resource } = Object(permission)
    const { type, id, id_prefix } = Object(resource)
    return [...(Array.isArray(actions) ? actions : []), type, id, id_prefix].filter((each) => typeof each === 'string')
  })
}

/** Whether any of these texts contains all the words, ignoring case. */
export function says(query: string | undefined, ...texts: (string | null | undefined)[]): boolean {
  if (query === undefined) return true
  const text = texts.join('\n').toLowerCase()
  return query
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word))
}
