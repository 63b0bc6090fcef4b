import type { DecodedEvent } from '@bailiwick/contracts'
import type { Step } from './verify-bundle.ts'

/** One step of a verified story in plain words, for somebody who has never heard of Bailiwick. */
export function tell(step: Step): string {
  return `${step.time}  ${whatHappened(step)} (entry ${step.leaf_index})`
}

/** The words that an event holds as salted hashes: somebody's own, so in quotation marks. */
export function tellValues({ values = [] }: Step): string[] {
  return values.map(({ at, text }) =>
    text === undefined
      ? `    ${at.slice(1)}: withheld, or erased; the log has its salted hash`
      : `    ${at.slice(1)}, as it was written: ${JSON.stringify(text)}`,
  )
}

function whatHappened({ type, subject, data, signed_by = [] }: Step): string {
  const event = { type, data } as DecodedEvent
  const by = signed_by.join(', ')
  switch (event.type) {
    case 'request.received':
      return event.data.kind === 'access'
        ? `${event.data.agent} asked for ${authority(event.data.authority)}, and signed that with its own key`
        : `a change was proposed: ${event.data.request_id}`
    case 'request.approved':
      return `${by} approved exactly that with a passkey`
    case 'grant.created':
      return `the grant was recorded, valid from ${event.data.grant.not_before} to ${event.data.grant.not_after}`
    case 'delegation.redeemed':
      return `a part of it was passed on: ${event.data.delegation_id}`
    case 'credential.intended':
      return `the issuer recorded that it would give ${event.data.agent} a credential until ${event.data.expires_at}`
    case 'credential.issued':
      return 'the credential was issued'
    case 'decision.allowed':
      return `the decision point ALLOWED ${action(event.data.action)}, which ${event.data.enforcement_point} had asked for ${event.data.actor.agent}`
    case 'decision.denied':
      return `the decision point DENIED it: ${subject}`
    case 'outcome.reported':
      return `${by} reported what came of it: ${event.data.status}`
    case 'outcome.missing':
      return 'nobody reported what came of it in time'
    case 'revocation.declared':
      return `it was WITHDRAWN: ${event.data.kind} ${event.data.target}`
    default:
      return `${type} ${subject}`
  }
}

function action({ name, resource }: { name: string; resource: { type: string; id: string } }): string {
  return `${name} on ${resource.type} ${resource.id}`
}

function authority(authority: { task?: string; permissions?: readonly unknown[] }): string {
  return `task ${authority.task ?? '(unnamed)'}: ${JSON.stringify(authority.permissions ?? [])}`
}
