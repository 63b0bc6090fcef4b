import type { Facts, Tree } from './facts.ts'
import type { Registry } from './registry.ts'

/**
 * The revocation, declared by then, that kills what this tree does: by name for good, by kind what was approved before it
 * (DESIGN §7.3). Approvers are those whose passkeys signed the grant's statement.
 */
export function killerOf(
  { facts, registry }: { facts: Facts; registry: Registry },
  tree: Tree,
  by: number,
  { credential, links }: { credential: string; links: readonly { id: string; agent: string }[] },
): Facts['revocations'][number] | undefined {
  const [created] = tree.life
  if (created === undefined) return undefined
  const { grant } = created.data
  const instances = tree.life.filter((each) => each.at <= by).map(({ data }) => data.grant.agent)
  const agents = [grant.agent, instances.at(-1) ?? grant.agent, ...links.map(({ agent }) => agent)]
  const passkeys = new Set(grant.assertions.map(({ credential_id }) => credential_id))
  const approvers = [...registry.viewAt(created.at).approvers.values()]
    .filter(({ credentials }) => credentials.some(({ credential_id }) => passkeys.has(credential_id)))
    .map(({ id }) => id)
  return facts.revocations.find(({ data: { kind, target }, version, at }) => {
    if (at > by) return false
    if (kind === 'credential') return target === credential
    if (kind === 'grant') return target === grant.id
    if (kind === 'delegation') return links.some(({ id }) => id === target)
    // What people were shown before everything was stopped knew nothing of it, whatever it says.
    const isShownBefore = kind === 'all' && Date.parse(grant.statement.issued_at) + 5000 < at
    if (grant.as_of >= version && !isShownBefore) return false
    if (kind === 'agent') return agents.some((agent) => target === agent || agent.startsWith(`${target}/`))
    if (kind === 'approver') return approvers.includes(target)
    if (kind === 'tool-server') return Object.hasOwn(grant.statement.manifests, target)
    return true
  })
}
