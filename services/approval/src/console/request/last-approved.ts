import { type Authority, intersect } from '@bailiwick/authority'
import type { ApprovalStatement } from '@bailiwick/contracts'
import type { RequestRecord } from '@bailiwick/projection'
import { authorityOf } from '../../answers/who-may-answer.ts'
import type { AccessAsk } from '../../requests.ts'
import { type Difference, differenceOf, minutesOf } from '../earlier.ts'
import type { RequestIndex } from '../request-index.ts'

export interface LastApproved extends Difference {
  record: RequestRecord
  statement: ApprovalStatement
  /** Whether it was for this task. Otherwise it was for the same tools, under another task's name. */
  same_task: boolean
  /** The permissions that both allow, and for how long; null if they share nothing, or if the request asks for no more than that. */
  as_last_time: { authority: Authority; minutes: number } | null
}

/** What people last approved for this agent, as they signed it: for this task, else for the same tools. */
export function lastApprovedOf(index: RequestIndex, ask: AccessAsk): LastApproved | undefined {
  const ofTask = index.ofSameTask(ask).find(isApproved)
  const record = ofTask ?? index.ofSameKind(ask).find(isApproved)
  const statement = record?.approved?.statement
  if (record === undefined || statement?.kind !== 'approval') return undefined
  // The name of a task bounds nothing.
  const { task } = authorityOf(ask.authority)
  const then = { ...statement, authority: { ...authorityOf(statement.authority), task } }
  const difference = differenceOf(ask, then)
  const isMore = difference.relation === 'wider' || difference.relation === 'different'
  return {
    ...difference,
    record,
    statement,
    same_task: ofTask !== undefined,
    as_last_time: isMore ? asLastTime(ask, then) : null,
  }
}

const isApproved = ({ approved }: RequestRecord) => approved?.statement.kind === 'approval'

/** One exact action has no bounds to narrow. */
function asLastTime(ask: AccessAsk, then: ApprovalStatement) {
  if (ask.mode === 'per_action') return null
  const authority = intersect(authorityOf(ask.authority), authorityOf(then.authority))
  return authority === undefined ? null : { authority, minutes: Math.min(minutesOf(ask), minutesOf(then)) }
}
