import { toolServerOf } from '@bailiwick/approval-statement'
import type { Grant } from '@bailiwick/contracts'
import type { DenialReason } from '@bailiwick/errors'
import { type End, judgeLife, type Ledger, type Tree } from '@bailiwick/projection'
import type { EvaluationRequest } from '../http/evaluation-request.ts'
import type { Clocked, State } from '../ports.ts'
import { chainReason } from './authority.ts'
import type { Credential } from './credential.ts'
import type { Recorded } from './recorded.ts'
import { refuse, type Verdict } from './steps.ts'

/** The state is proved fresh (V8). */
export function fresh(_: object, { projection }: Pick<State, 'projection'>): Verdict {
  return projection.fresh() ? undefined : refuse('state_stale')
}

/** All that the call relies on lives at this instant (V7). Checked each time: the grant may have ended or moved meanwhile. */
export function alive(
  { tree, grant, token, request }: Recorded & Pick<Credential, 'token'> & { request: EvaluationRequest },
  { projection, trust, clock }: Pick<State, 'projection' | 'trust'> & Pick<Clocked, 'clock'>,
): Verdict {
  // The grant moved while this call waited, and the signatures of what the tree holds now are not verified (V3).
  if (tree.grant !== grant) return refuse('grant_agent_mismatch')
  if (grant.agent !== token.sub || request.subject.id !== token.sub) return refuse('grant_agent_mismatch')
  const life = judgeLife(projection.ledger, {
    tree,
    delegationId: token.grant.delegation,
    token,
    installation: trust.installation,
    now: clock.now(),
  })
  return life.ok ? undefined : refuse(reasonOf(projection.ledger, tree, life.end))
}

/**
 * An action that the authority covers uses the tool that the humans meant: its server has the manifest that they signed. A server that was
 * unknown when they signed must be unknown now. A point that has read the server itself says what it found, and that must be the signed
 * manifest too. An action that was never granted is refused for that reason, so it does not come here.
 */
export function toolApproved(
  { grant, request }: Pick<Recorded, 'grant'> & { request: EvaluationRequest },
  { projection }: Pick<State, 'projection'>,
): Verdict {
  const server = toolServerOf(request.resource)
  if (server === undefined) return undefined
  const { registry } = projection.ledger
  const signed = grant.statement.manifests[server]
  const { manifest: found = signed } = request.observed
  const isApproved = found === signed && registry.get('tool-server', server)?.manifest === signed
  return isApproved ? undefined : refuse('manifest_changed')
}

/** The reason of a denial, or of a cut, for an end. */
export function reasonOf(ledger: Ledger, tree: Tree, end: End): DenialReason {
  switch (end.why) {
    case 'chain':
      return chainReason(end.fault)
    case 'revoked':
      return revocationReasons[end.by.kind]
    case 'suspended':
      // If the manifest is the cause, say so: an agent can act on that.
      return isManifestChanged(ledger, tree.grant) ? 'manifest_changed' : 'grant_not_active'
    case 'over':
      return isUsedUp(ledger, tree) ? 'uses_exhausted' : 'grant_not_active'
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
function isUsedUp({ decisions }: Ledger, { id, grant, state }: Tree): boolean {
  const taken = decisions.trees.get(id)?.taken.calls ?? 0n
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
function isManifestChanged({ registry }: Ledger, { statement }: Grant): boolean {
  const named = Object.entries(statement.manifests)
  return named.some(([id, hash]) => registry.get('tool-server', id)?.manifest !== hash)
}
