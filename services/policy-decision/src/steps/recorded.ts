import type { Grant } from '@bailiwick/contracts'
import type { AccessToken } from '@bailiwick/credentials'
import { matchesIntent, type Tree } from '@bailiwick/projection'
import type { Turn } from '../order/turns.ts'
import type { Judges, State } from '../ports.ts'
import type { StepUp } from '../state/step-ups.ts'
import type { Credential } from './credential.ts'
import { refuse, type Verdict } from './steps.ts'

/** How long a call may wait for the log, and whom it holds up meanwhile. */
export interface Waiting {
  withinMs: number
  turn?: Turn | undefined
}

export interface Recorded {
  tree: Tree
  /** The grant whose signatures this PDP verifies. The tree may hold another one later. */
  grant: Grant
}

/** The credential's intent is folded, and says what the credential says (V4). */
export async function recorded(
  { token, kid, withinMs, turn }: Credential & Waiting,
  { projection }: Pick<State, 'projection'>,
): Promise<Verdict<Recorded>> {
  const find = () => recordedTree(projection, token)
  // A call that must wait for the log does not hold up the calls after it.
  if (find() === undefined) turn?.leave()
  const tree = await projection.until(find, withinMs)
  if (!tree) {
    const known = projection.ledger.grants.trees.get(token.grant.root)
    return refuse(known ? 'credential_unrecorded' : 'grant_unknown')
  }
  return matchesIntent(tree, token, kid) ? { tree, grant: tree.grant } : refuse('credential_unrecorded')
}

function recordedTree(projection: State['projection'], token: AccessToken): Tree | undefined {
  const tree = projection.ledger.grants.trees.get(token.grant.root)
  return tree?.credentials.has(token.jti) ? tree : undefined
}

export interface Approved {
  approverIds: readonly string[]
  /** The step-ups that humans approved, verified by this PDP. */
  stepUps: readonly StepUp[]
}

/** This PDP itself verified the humans' signatures over the grant (V3). */
export async function approved(
  { tree }: Pick<Recorded, 'tree'>,
  { approvals, stepUps }: Pick<Judges, 'approvals' | 'stepUps'>,
): Promise<Verdict<Approved>> {
  const approval = await approvals.of(tree)
  if (!approval.ok) return refuse('approval_unverified')
  return { approverIds: approval.approverIds, stepUps: await stepUps.of(tree) }
}
