import type { SpendView } from '@bailiwick/projection'
import type { Clocked, Judges, State } from '../ports.ts'
import { attestationsOf, hasLapsed } from '../state/continuity.ts'
import type { StepUp } from '../state/step-ups.ts'
import type { Credential } from './credential.ts'
import type { Permitted } from './policy.ts'
import type { Approved, Recorded } from './recorded.ts'
import { refuse, type Verdict } from './steps.ts'

type Ports = Pick<State, 'projection'> & Pick<Judges, 'stepUps'>
type Facts = Pick<Recorded, 'tree'> & Pick<Approved, 'stepUps'> & Pick<Credential, 'token'>

/** Humans said yes to this action, or the task goes on and no policy asks for them. */
export function human(
  facts: Facts & Pick<Permitted, 'policies' | 'wanting' | 'wantsHuman'> & { digest: string; view: SpendView },
  ports: Ports & Pick<Clocked, 'clock'>,
): Verdict<{ stepUp: StepUp | undefined }> {
  const now = ports.clock.now()
  // A step-up is used if there is one, needed or not: humans said yes to this action once, so it happens once.
  const stepUp = ports.stepUps.find(facts, facts.digest, facts.view, now)
  if (stepUp !== undefined) return { stepUp }
  const lapsed = waitsForHuman(ports, facts, now)
  if (!lapsed && !facts.wantsHuman) return { stepUp }
  const { policies, wanting: duties } = facts
  return refuse('step_up_required', { policies, duties, needs: lapsed ? 'task' : 'action' })
}

/** The yes that the decision relies on did not end while it became durable: not taken back, and its approver not revoked (V7). */
export function humanStands(
  facts: Facts & { stepUp: StepUp | undefined },
  ports: Ports & Pick<Clocked, 'clock'>,
): Verdict {
  const now = ports.clock.now()
  const { stepUp, tree } = facts
  if (stepUp !== undefined) return ports.stepUps.stands(tree, stepUp, now) ? undefined : refuse('step_up_required')
  // The decision used no step-up, so the task itself lapsed meanwhile.
  return waitsForHuman(ports, facts, now) ? refuse('step_up_required', { needs: 'task' }) : undefined
}

/**
 * Whether a grant of mode continuous waits for a human. It does if something that must stay fresh went stale after a human, whose
 * approval still counts, last said that the task goes on (V7). The grant's agent and a sub-agent attest separately: neither stands for
 * the other.
 */
export function waitsForHuman(
  { projection, stepUps: judged }: Ports,
  {
    tree,
    stepUps,
    token: { grant: named },
  }: Pick<Facts, 'tree' | 'stepUps'> & {
    token: { grant: Pick<Credential['token']['grant'], 'delegation'> }
  },
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
