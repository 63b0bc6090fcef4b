import type { RevocationKind } from '@bailiwick/contracts'
import { newId } from '@bailiwick/kit'
import { approversOf, chainOf, type Lineage, lineageOf, RevocationState, type Tree } from '@bailiwick/projection'
import type { Issuer } from '../context.ts'

export interface Target {
  kind: RevocationKind
  /** `*` for kind all. */
  target: string
}

/** Everything that is alive now and would end. */
export interface Casualties {
  grants: { grant_id: string; agent: string; task: string; not_after: string }[]
  /** Credentials that have not expired, and delegations: of these grants, and those that end by their own name. */
  credentials: number
  delegations: number
}

/**
 * A misspelt name must not look like success. Accepted, however: a target that was revoked already, and a delegation that was not redeemed,
 * which only its signer knows.
 */
export function isThere({ projection }: Issuer, { kind, target }: Target): boolean {
  const { grants, registry, revocations } = projection.ledger
  if (revocations.find(kind, target)) return true
  switch (kind) {
    case 'all':
      return target === '*'
    case 'grant':
      return grants.trees.has(target)
    case 'credential':
      return treeOfCredential(projection.ledger.grants.trees, target) !== undefined
    case 'agent':
      return registry.record('agent', target) !== undefined || registry.instance(target) !== undefined
    case 'approver':
    case 'tool-server':
      return registry.record(kind, target) !== undefined
    case 'delegation':
      return /^dlg_[0-9A-Za-z_-]{20,64}$/.test(target)
  }
}

export function treeOfCredential(trees: ReadonlyMap<string, Tree>, credentialId: string): Tree | undefined {
  return trees.values().find(({ credentials }) => credentials.has(credentialId))
}

/** Everything that this revocation would end, judged by the same code that ends it. */
export function casualtiesOf(issuer: Issuer, { kind, target }: Target): Casualties {
  const { clock, random, projection } = issuer
  const { grants, registry, revocations } = projection.ledger
  const now = clock.now()
  const supposed = RevocationState.supposing({
    revocation_id: newId('rev', now, random),
    kind,
    target,
    reason: 'supposed',
    by: { kind: 'operator', id: 'operator' },
    version: revocations.sequence + 1,
  })
  const found: Casualties = { grants: [], credentials: 0, delegations: 0 }
  for (const tree of grants.trees.values()) {
    const { grant } = tree
    const isRunning = tree.state === 'active' || tree.state === 'suspended'
    const approvers = approversOf(registry, tree) ?? []
    const lineage = lineageOf(tree, approvers)
    if (!isRunning || Date.parse(grant.not_after) <= now || revocations.kills(lineage)) continue
    const whole = supposed.kills(lineage) !== undefined
    const { id: grant_id, agent, not_after } = grant
    if (whole) found.grants.push({ grant_id, agent, task: grant.authority.task, not_after })
    // A chain that does not hold has nothing left to lose.
    const lineageUnder = (delegationId: string | undefined, credential?: string) => {
      const chain = chainOf(tree, delegationId, issuer.trust.installation)
      return chain.ok
        ? lineageOf(tree, approvers, { holders: chain.holders, ...(credential && { credential }) })
        : undefined
    }
    const ends = (below: Lineage | undefined) => below && !revocations.kills(below) && supposed.kills(below)
    for (const [id, { expires_at, delegation_id }] of tree.credentials)
      if (Date.parse(expires_at) > now && ends(lineageUnder(delegation_id, id))) found.credentials++
    for (const id of tree.delegations.keys()) if (ends(lineageUnder(id))) found.delegations++
  }
  return found
}
