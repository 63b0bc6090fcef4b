import { setTimeout as wait } from 'node:timers/promises'
import { approvalOperatorRoutes } from '@bailiwick/contracts/api'
import { expectAnswer } from './expect-answer.ts'
import type { Lenience } from './lenience.ts'
import type { Operator } from './operator-client.ts'
import { type PresentEntity, presentRegistry } from './present-entities.ts'
import { diffOf, type EntityDiff } from './registry-diff.ts'
import type { WantedEntity } from './registry-file.ts'
import { requestSchema } from './request-summary.ts'
import { whoApproves } from './who-approves.ts'

/** A change of the registry that waits for passkeys. */
export interface Proposal {
  /** Null if the registry was as wanted when the proposal arrived. */
  request_id: string | null
  /** Where people answer. */
  approve_at: string
  approvers: string
}

const proposedSchema = approvalOperatorRoutes.proposeChange.answer.pick({ request_id: true, approve_at: true })

/** Proposes a change to the approvers. It changes nothing until they have signed it. */
export async function propose(
  operator: Operator,
  diff: readonly EntityDiff[],
  { proposer, present, lenience }: { proposer: string; present: readonly PresentEntity[]; lenience: Lenience },
): Promise<Proposal> {
  const answer = await operator.post('/operator/registry/changes', {
    proposer,
    entities: diff.map(({ type, id, after }) => ({ type, id, value: after })),
  })
  const { request_id, approve_at } = expectAnswer(proposedSchema, answer)
  const singleOperator = lenience.single_operator === true
  return { request_id, approve_at, approvers: whoApproves(diff, present, { singleOperator }) }
}

export const proposalLines = ({ request_id, approve_at, approvers }: Proposal): string[] => [
  `Proposed as ${request_id}. It holds once it is approved with a passkey at ${approve_at}`,
  approvers,
]

export const appliedLine = (applied: boolean): string =>
  applied ? 'Applied.' : 'Not applied: it was refused, or no approver answered in time.'

const LOOK_EVERY_MS = 250
/** How often to check after the approval, until the issuer has written the approved change. */
const LOOKS_AFTER_ANSWER = 40

/** Waits until the proposal is answered or has expired, then until the registry is as proposed. */
export async function settled(operator: Operator, id: string, wanted: readonly WantedEntity[]): Promise<boolean> {
  for (let looks = 0; looks < LOOKS_AFTER_ANSWER; ) {
    const { state } = expectAnswer(requestSchema, await operator.get(`/operator/requests/${encodeURIComponent(id)}`))
    if (state === 'approved') {
      looks++
      if (unmet(wanted, (await presentRegistry(operator)).present).length === 0) return true
    } else if (state !== 'pending') return false
    await wait(LOOK_EVERY_MS)
  }
  return false
}

/** The wanted entities that the registry does not hold yet, or holds with another value. */
export function unmet(wanted: readonly WantedEntity[], present: readonly PresentEntity[]): EntityDiff[] {
  const values = new Map(present.map(({ type, id, value }) => [`${type} ${id}`, value]))
  return diffOf(wanted, (type, id) => values.get(`${type} ${id}`))
}
