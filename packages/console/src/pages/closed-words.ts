import type { RequestDetail } from '../types.ts'

const closings: Partial<Record<RequestDetail['state'], string>> = {
  approved: 'Approved',
  denied: 'Denied',
  cancelled: 'Taken back',
  withdrawn: 'Withdrawn',
}

/** The same, with everyone who signed an approval, where the page knows them. */
export function answeredWords(request: RequestDetail): string {
  const signers = request.kind === 'access' && request.answer?.grant_id ? request.answer.by : []
  return signers.length === 0
    ? closedWords(request)
    : `Approved by ${signers.join(', ')}. It can no longer be answered.`
}

type Closed = Pick<RequestDetail, 'state' | 'closed_by' | 'signed_by'> & { rule: { quorum: number } | null }

/** How a request ended, and by whom. */
export function closedWords({ state, closed_by: by, signed_by, rule }: Closed): string {
  const how = closings[state]
  if (how !== undefined) {
    const who = by === null ? '' : ` by ${by.startsWith('spiffe://') ? 'the agent' : by}`
    return `${how}${who}. It can no longer be answered.`
  }
  if (signed_by.length === 0) return 'It expired unanswered, and can no longer be answered.'
  const of = rule === null ? '' : ` of ${rule.quorum}`
  return `It expired with ${signed_by.length}${of} signatures (${signed_by.join(', ')}), and can no longer be answered.`
}
