import { toolServerOf } from '@bailiwick/approval-statement'
import type { Grant } from '@bailiwick/contracts'
import type { AccessToken } from '@bailiwick/credentials'
import type { DenialReason } from '@bailiwick/errors'
import { type End, judgeLife, matchesIntent, type Tree } from '@bailiwick/projection'
import type { Pdp } from '../context.ts'
import type { EvaluationRequest } from '../http/evaluation-request.ts'
import { attestationsOf, hasLapsed } from '../state/continuity.ts'
import type { StepUp } from '../state/step-ups.ts'
import { chainReason } from './chain.ts'
import type { Claim } from './verify-credential.ts'

/** The facts that a living claim relies on. */
export interface Standing {
  tree: Tree
  /** The grant whose signatures this PDP verified. The tree may hold another one later. */
  grant: Grant
  approverIds: readonly string[]
  /** The step-ups that humans approved, verified by this PDP. */
  stepUps: readonly StepUp[]
}

export type Life = { ok: true; standing: Standing } | { ok: false; reason: DenialReason }

/**
 * DESIGN §7.4 step 3, the part that may have to wait: the credential's recorded intent is folded (V4), and the humans'
 * signatures were verified by this PDP (V3).
 */
export async function findStanding(pdp: Pdp, claim: Claim, deadlineMs: number): Promise<Life> {
  const { token, kid } = claim
  const { grants } = pdp.projection.ledger
  const tree = await pdp.projection.until(() => recordedTree(pdp, claim), deadlineMs)
  if (!tree) {
    const known = grants.trees.get(token.grant.root)
    return { ok: false, reason: known ? 'credential_unrecorded' : 'grant_unknown' }
  }
  if (!matchesIntent(tree, token, kid)) return { ok: false, reason: 'credential_unrecorded' }
  const { grant } = tree
  const approval = await pdp.approvals.of(tree)
  if (!approval.ok) return { ok: false, reason: 'approval_unverified' }
  return { ok: true, standing: { tree, grant, approverIds: approval.approverIds, stepUps: await pdp.stepUps.of(tree) } }
}

/** Whether the credential's intent is folded already. */
export const isRecorded = (pdp: Pdp, claim: Claim): boolean => recordedTree(pdp, claim) !== undefined

function recordedTree({ projection }: Pdp, { token }: Claim): Tree | undefined {
  const tree = projection.ledger.grants.trees.get(token.grant.root)
  return tree?.credentials.has(token.jti) ? tree : undefined
}

/** DESIGN §7.4 steps 2 and 3 as of this instant: checked before the decision is recorded, and again after (V7, V8). */
export function deadReason(
  pdp: Pdp,
  { tree, grant }: Standing,
  claim: Claim,
  request: EvaluationRequest,
): DenialReason | undefined {
  if (!pdp.projection.fresh()) return 'state_stale'
  // The grant moved while this call waited, and the signatures of what the tree holds now are not verified (V3).
  if (tree.grant !== grant) return 'grant_agent_mismatch'
  const { token } = claim
  if (grant.agent !== token.sub || request.subject.id !== token.sub) return 'grant_agent_mismatch'
  // All of this is checked each time: the grant may have ended or moved meanwhile.
  const life = judgeLife(pdp.projection.ledger, {
    tree,
    delegationId: token.grant.delegation,
    token,
    installation: pdp.trust.installation,
    now: pdp.clock.now(),
  })
  return life.ok ? undefined : reasonOf(pdp, tree, life.end)
}

/**
 * The same check for an action that the authority covers, which must also use the tool that the humans meant. A server that was unknown
 * when they signed must be unknown now. An action that was never granted is denied for that reason, so its tool is not checked.
 */
export function coveredDeadReason(
  pdp: Pdp,
  standing: Standing,
  claim: Claim,
  request: EvaluationRequest,
): DenialReason | undefined {
  const dead = deadReason(pdp, standing, claim, request)
  return dead ?? (isToolUnapproved(pdp, standing, request) ? 'manifest_changed' : undefined)
}

function reasonOf(pdp: Pdp, tree: Tree, end: End): DenialReason {
  switch (end.why) {
    case 'chain':
      return chainReason(end.fault)
    case 'revoked':
      return revocationReasons[end.by.kind]
    case 'suspended':
      // If the manifest is the cause, say so: an agent can act on that.
      return isManifestChanged(pdp, tree.grant) ? 'manifest_changed' : 'grant_not_active'
    case 'over':
      return isUsedUp(pdp, tree) ? 'uses_exhausted' : 'grant_not_active'
    default:
      return endReasons[end.why]
  }
}

const endReasons = {
  another_holder: 'grant_agent_mismatch',
  another_chain: 'delegation_invalid',
  signers_unknown: 'approval_unverified',
  not_started: 'grant_not_started',
  expired: 'grant_expired',
  delegation_expired: 'delegation_expired',
  credential_expired: 'credential_expired',
  unregistered: 'agent_revoked',
  manifest_changed: 'manifest_changed',
} as const satisfies Partial<Record<End['why'], DenialReason>>

/** The grant's one action was done. The reason is the same as before the issuer completed the grant, since the remedy is the same. */
function isUsedUp({ projection }: Pdp, { id, grant, state }: Tree): boolean {
  const taken = projection.ledger.decisions.trees.get(id)?.taken.calls ?? 0n
  return grant.mode === 'per_action' && state === 'completed' && taken > 0n
}

const revocationReasons = {
  credential: 'credential_revoked',
  delegation: 'delegation_revoked',
  grant: 'grant_revoked',
  agent: 'agent_revoked',
  approver: 'approver_revoked',
  'tool-server': 'tool_server_revoked',
  all: 'everything_revoked',
} as const satisfies Record<string, DenialReason>

/** A tool is defined by its server's manifest as of the approval. */
function isManifestChanged({ projection }: Pdp, { statement }: Grant): boolean {
  const { registry } = projection.ledger
  const named = Object.entries(statement.manifests)
  return named.some(([id, hash]) => registry.get('tool-server', id)?.manifest !== hash)
}

/** Whether the tool's server has another manifest than the one that humans signed. If they signed none, the server must have none. */
export function isToolUnapproved({ projection }: Pdp, { grant }: Standing, { resource }: EvaluationRequest): boolean {
  const server = toolServerOf(resource)
  if (server === undefined) return false
  return projection.ledger.registry.get('tool-server', server)?.manifest !== grant.statement.manifests[server]
}

/**
 * Whether a grant of mode continuous waits for a human. It does if something that must stay fresh went stale after a human, whose
 * approval still counts, last said that the task goes on (V7). The grant's agent and a sub-agent attest separately: neither stands for
 * the other.
 */
export function waitsForHuman(
  { projection, stepUps: judged }: Pick<Pdp, 'projection' | 'stepUps'>,
  { tree, stepUps }: Pick<Standing, 'tree' | 'stepUps'>,
  { token: { grant: named } }: { token: { grant: Pick<AccessToken['grant'], 'delegation'> } },
  now: number,
): boolean {
  const { grant, createdAt } = tree
  const { mode, statement, not_before } = grant
  if (mode !== 'continuous') return false
  const { continuous } = statement
  if (continuous === undefined) return true // a statement without it is never approved
  const reopening = stepUps.filter((stepUp) => judged.reopens(tree, stepUp, now))
  const since = Math.max(createdAt, Date.parse(not_before), ...reopening.map(({ approvedAt }) => approvedAt))
  const allows = projection.ledger.decisions.trees.get(tree.id)?.allows.values() ?? []
  if (hasLapsed(continuous, { since, attestedAt: attestationsOf(tree), allows }, now)) return true
  if (named.delegation === undefined) return false
  const attestedAt = attestationsOf(tree, named.delegation)
  // The sub-agent did not exist before it first attested.
  return hasLapsed(continuous, { since: Math.max(since, Math.min(...attestedAt)), attestedAt, allows: [] }, now)
}
