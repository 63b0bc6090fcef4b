import { approvalOf, type DecodedEvent } from '@bailiwick/contracts'
import type { TraceLeaf } from './trace-leaf.ts'

export type StepKind =
  | 'request'
  | 'approval'
  | 'grant'
  | 'delegation'
  | 'credential'
  | 'decision'
  | 'outcome'
  | 'revocation'
  | 'registry'
  | 'finding'

/** An event's place in the story: the thing that it begins, and the things that it follows from, nearest first. */
export interface Place {
  kind: StepKind
  /** The thing that this event brings into being, as others name it. */
  is?: string
  from: readonly string[]
  /** Other things that it rests on, but that did not lead to it. */
  beside?: readonly string[]
}

/** outcome → decision → credential → delegation → grant → approval → request. */
export function placeOf(event: DecodedEvent): Place {
  switch (event.type) {
    case 'request.received':
      return { kind: 'request', is: event.data.request_id, from: ofLivingGrant(event.data) }
    case 'request.approved':
      return { kind: 'approval', is: approvalOf(event.data.request_id), from: [event.data.request_id] }
    case 'request.endorsed':
    case 'request.denied':
    case 'request.expired':
    case 'request.cancelled':
      return { kind: 'approval', from: [event.data.request_id] }
    case 'request.withdrawn':
      return { kind: 'revocation', from: [...some(event.data.grant_id), event.data.request_id] }
    case 'grant.created':
      return { kind: 'grant', is: event.data.grant.id, from: afterRequest(event.data.grant.request_id) }
    case 'grant.completed':
    case 'grant.expired':
    case 'grant.suspended':
    case 'grant.resumed':
    case 'grant.rebound':
      return { kind: 'grant', from: [event.data.grant.id, ...afterRequest(event.data.grant.request_id)] }
    case 'delegation.redeemed': {
      const { delegation_id, parent, grant_id } = event.data
      return { kind: 'delegation', is: delegation_id, from: [...some(parent), grant_id] }
    }
    case 'credential.intended': {
      const { credential_id, delegation_id, grant_id } = event.data
      return { kind: 'credential', is: credential_id, from: [...some(delegation_id), grant_id] }
    }
    case 'credential.issued':
    case 'credential.refused':
      return { kind: 'credential', from: [...some(event.data.credential_id), event.data.grant_id] }
    case 'decision.allowed':
    case 'decision.denied': {
      const { actor, decision_id } = event.data
      const from = [...some(actor?.credential_id), ...some(actor?.grant_id), ...some(actor?.request_id)]
      const yes = 'step_up' in event.data ? some(event.data.step_up) : []
      return { kind: 'decision', is: decision_id, from, beside: yes.map(approvalOf) }
    }
    case 'decision.abandoned':
      return { kind: 'decision', from: [event.data.decision_id, event.data.grant_id] }
    case 'outcome.reported':
    case 'outcome.missing':
    case 'outcome.refused':
      return { kind: 'outcome', from: [event.data.decision_id, event.data.grant_id] }
    case 'denials.summarised':
    case 'candidate.answered':
      return { kind: 'decision', from: [] }
    case 'revocation.declared':
      return { kind: 'revocation', from: [event.data.target] }
    case 'revocation.acknowledged':
      return { kind: 'revocation', from: [] }
    case 'value.erased':
      return { kind: 'finding', from: [event.data.about] }
    case 'enrolment.offered':
      return { kind: 'registry', from: [] }
    default:
      return { kind: 'entity' in Object(event.data) ? 'registry' : 'finding', from: [] }
  }
}

/** Nothing follows from an event that lost its place: the thing with the same name is another writer's. */
export function effectOf({ event, void: isVoid }: TraceLeaf): Place {
  const { is, ...place } = placeOf(event)
  return is === undefined || isVoid ? place : { ...place, is }
}

/** The grant that an event is under, for events whose actor holds it. Its moves to other keys show who held it at that time. */
export function grantHeldBy(event: DecodedEvent): string | undefined {
  if (event.type === 'decision.allowed') return event.data.actor.grant_id
  return event.type === 'credential.intended' || event.type === 'delegation.redeemed' ? event.data.grant_id : undefined
}

/** A step-up asks for one more action of an existing grant. */
const ofLivingGrant = (data: object) => ('grant_id' in data ? [String(data.grant_id)] : [])
const some = (id: string | undefined): readonly string[] => (id === undefined ? [] : [id])
const afterRequest = (requestId: string) => [approvalOf(requestId), requestId]
