import { requestIdOf } from '@bailiwick/approval-statement'
import { parseAuthority, withinResource } from '@bailiwick/authority'
import { agentIdOf } from '@bailiwick/contracts'
import type { SubmissionBody } from '@bailiwick/contracts/api'
import { ServiceError } from '@bailiwick/errors'
import type { RequestRecord } from '@bailiwick/projection'
import type { Approval } from '../context.ts'
import { askerOf, taskIdOf } from '../requests.ts'
import type { PresentedItem } from './binding.ts'
import { claimsOf } from './duplicates.ts'
import type { Idempotency } from './idempotency.ts'
import { receiveRequest } from './receive-request.ts'
import { pairsIn } from './task.ts'

export interface Submitted {
  record: RequestRecord
  /** What the submission named, to be echoed. */
  items: readonly PresentedItem[]
  /**
   * Whether the caller may know the task's outcome: the task was just made, or the caller proves to be its agent. Otherwise the caller only
   * learns that the ask was received, since anybody who reads the log or the topic has the bytes of an ask.
   */
  mayKnow: boolean
}

export interface SubmissionCall {
  /** The Idempotency-Key. */
  key: string | undefined
  /** Whether this very call proves to come from an instance of this agent. Called once. */
  isBy: (agentId: string) => boolean
  /** Called once the caller's identity is proved. */
  onVerified: () => void
}

/** Takes a submission. What surrounds the signed ask must agree with it, and one Idempotency-Key stands for one body. */
export async function submit(
  approval: Approval,
  idempotency: Idempotency,
  body: SubmissionBody,
  { key, isBy, onVerified }: SubmissionCall,
): Promise<Submitted> {
  const items = itemsOf(body)
  refuseContradictions(body, items)
  const { request, attestation, ...words } = body.bailiwick
  // A workload that asks again shows its current token, which says who asks, not what: it is not part of the compared body.
  const asked = { key, body: { ...body, bailiwick: { request, ...words } } }
  const once = key && {
    find: (agentId: string) => idempotency.find(agentId, { ...asked, key }),
    keep: (agentId: string, task: string) => idempotency.keep(agentId, { ...asked, key }, task),
  }
  const id = requestIdOf(body.bailiwick.request)
  const [known] = approval.projection.ledger.requests.ofTask(approval.folded.get(id) ?? id)
  const agentId = known && askerOf(known)
  // If its own agent asks again, the signature is not checked, since it may have expired meanwhile.
  const isAgain = agentId !== undefined && isBy(agentId)
  if (isAgain) onVerified()
  if (once && known && isAgain) {
    once.find(agentId)
    once.keep(agentId, taskIdOf(known))
  }
  const isStranger = known !== undefined && !isAgain
  const submission = { request, ...words, attestation, receivedBy: 'http' as const, items, isStranger, onVerified }
  const record = await receiveRequest(approval, once ? { ...submission, once } : submission)
  // Only for a first ask: one that is sent again or folded changes nothing.
  if (body.callback && known === undefined && taskIdOf(record) === id)
    approval.callbackWishes.put(id, body.callback, askerOf(record))
  return { record, items, mayKnow: !isStranger }
}

/** A denial of the whole submission belongs to a single item. To cover several, it would have to name each, which no token of ours does. */
function itemsOf({ items, resource, action, denial }: SubmissionBody): PresentedItem[] {
  if (items === undefined) return resource && action ? [{ resource, action, denial }] : []
  if (denial !== undefined && items.some((item) => item.denial === undefined)) {
    if (items.length > 1) throw new ServiceError('denial_binding_invalid', 'denial: covers not every item')
    return items.map((item) => ({ ...item, denial: item.denial ?? denial }))
  }
  return items
}

/**
 * Throws `submission_contradicted` for members that disagree with the signed ask. The ask is not verified yet, so both are the caller's
 * own words here. If the ask then does not verify, nothing was believed.
 */
function refuseContradictions({ subject, client, callback, items, bailiwick }: SubmissionBody, named: PresentedItem[]) {
  const { sub, callback: endpoint, authority } = claimsOf(bailiwick.request)
  if (typeof sub !== 'string') return // malformed: it is refused where it is verified
  const isSubject = (id: string) => id === sub || id === agentIdOf(sub)
  if (subject.type !== 'agent' || !isSubject(subject.id)) throw contradicted('subject: not who signed the request')
  const actor = client?.actor
  if (actor !== undefined && (actor.act !== undefined || !isSubject(actor.id)))
    throw contradicted('client.actor: not who signed the request')
  if (callback !== undefined && callback.endpoint !== endpoint)
    throw contradicted('callback: not the one that was signed')
  const parsed = parseAuthority(authority)
  if (!parsed.ok) return
  const pairs = pairsIn(parsed.authority)
  if (items !== undefined && items.length !== pairs.length)
    throw contradicted('items: not one for each action that was signed, in its order')
  named.forEach(({ resource: { type, id }, action }, n) => {
    const candidates = items === undefined ? pairs : pairs.slice(n, n + 1)
    if (!candidates.some((pair) => pair.action.name === action.name && withinResource({ type, id }, pair.scope)))
      throw contradicted('resource, action: not what was signed')
  })
}

function contradicted(detail: string): ServiceError {
  return new ServiceError('submission_contradicted', detail)
}
