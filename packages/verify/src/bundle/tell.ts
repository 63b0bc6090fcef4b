import type { DecodedEvent, EventData } from '@bailiwick/contracts'
import type { Step } from './verify-bundle.ts'

/** One step of a verified story in plain words, for a reader who has never heard of Bailiwick. */
export function tell(step: Step): string {
  return `${step.time}  ${whatHappened(step)} (entry ${step.leaf_index})`
}

/** The words behind an event's salted hashes. They are a person's or an agent's own words, so they are in quotation marks. */
export function tellValues({ values = [] }: Step): string[] {
  return values.map(({ at, text }) =>
    text === undefined
      ? `    ${at.slice(1)}: withheld, or erased; the log has its salted hash`
      : `    ${at.slice(1)}, as it was written: ${JSON.stringify(text)}`,
  )
}

/** The outcome of an ALLOW can be left out of a bundle unnoticed, since nothing follows from it. This tells the reader if it is missing. */
export function tellMissing(steps: readonly Step[]): string[] {
  const endings = new Set(['outcome.reported', 'outcome.missing', 'decision.abandoned'])
  const ended = new Set(steps.filter(({ type }) => endings.has(type)).map(({ subject }) => subject))
  return steps
    .filter(({ type, subject }) => type === 'decision.allowed' && !ended.has(subject))
    .map(
      ({ subject }) =>
        `What came of ${subject} is NOT in this bundle: it may not have been known yet, or was left out.`,
    )
}

function whatHappened({ type, subject, data, signed_by = [] }: Step): string {
  const event = { type, data } as DecodedEvent
  const by = signed_by.join(', ')
  switch (event.type) {
    case 'request.received':
      return asked(event.data)
    case 'request.approved':
      return `${by} approved, with a passkey, exactly this: ${approved(event.data.statement)}`
    case 'request.denied':
      return `${event.data.by} said no`
    case 'request.withdrawn':
      return `${event.data.by} took the approval back`
    case 'decision.abandoned':
      return 'the decision was taken back before anybody was answered'
    case 'grant.created':
      return `the grant was recorded, valid from ${event.data.grant.not_before} to ${event.data.grant.not_after}`
    case 'delegation.redeemed':
      return `${by} passed a part of it on to ${event.data.agent}, and signed that with its own key: ${authority(event.data.authority)}, until ${event.data.not_after}`
    case 'grant.rebound':
      return `the grant moved to ${event.data.grant.agent}, another instance of the same agent`
    case 'credential.intended':
      return `the issuer recorded that it would give ${event.data.agent} a credential until ${event.data.expires_at}`
    case 'credential.issued':
      return 'the credential was issued'
    case 'decision.allowed':
      return `the decision point ALLOWED ${action(event.data.action)}, which ${event.data.enforcement_point} had asked for ${acting(event.data.actor)}${event.data.step_up === undefined ? '' : '; people had said yes to this very action'}`
    case 'decision.denied':
      return `the decision point DENIED ${event.data.action === undefined ? 'it' : action(event.data.action)}${event.data.actor?.agent === undefined ? '' : `, asked for ${acting(event.data.actor)}`}: ${event.data.reason}`
    case 'outcome.reported':
      return `${by} reported what came of it: ${event.data.status}`
    case 'outcome.missing':
      return 'no outcome was reported in time'
    case 'revocation.declared':
      return `it was WITHDRAWN: ${event.data.kind} ${event.data.target}`
    case 'revocation.acknowledged':
      return `the issuer had read back every revocation up to ${event.data.sequence}`
    default:
      return `${type} ${subject}`
  }
}

/** The acting agent, and the grant's agent if that is another. */
function acting({ agent, sub_agent }: { agent?: string | undefined; sub_agent?: string | undefined }): string {
  return sub_agent === undefined ? String(agent) : `${sub_agent}, to whom ${agent} had passed it on`
}

function asked(data: EventData<'approvals.v1', 'request.received'>): string {
  if (data.kind === 'registry') return `a change was proposed: ${data.request_id}`
  const what = data.kind === 'access' ? authority(data.authority) : `a yes to one more action, ${action(data.action)}`
  return `${data.agent} asked for ${what}, and signed that with its own key`
}

/** Taken from the statement, not from the request: approvers may narrow a request. */
function approved(statement: EventData<'approvals.v1', 'request.approved'>['statement']): string {
  if (statement.kind === 'step_up') {
    const goesOn =
      statement.effect?.kind === 'task' ? `, and that the task goes on until ${statement.effect.until}` : ''
    return `one more action under ${statement.grant_id}, once${goesOn}${exactly(statement)}`
  }
  if (statement.kind === 'registry') return `the change ${statement.change_id}`
  return `${authority(statement.authority)}, from ${statement.not_before} to ${statement.not_after}${exactly(statement)}`
}

/** The exact action as the approvers saw it. */
function exactly({
  action_digest,
  arguments: shown,
}: {
  action_digest?: string | undefined
  arguments?: 'shown' | undefined
}) {
  if (action_digest === undefined) return ''
  const saw = shown === 'shown' ? 'all of whose arguments they were shown' : 'of which they saw this digest alone'
  return `; the action with the digest ${action_digest}, ${saw}`
}

function action({ name, resource }: { name: string; resource: { type: string; id: string } }): string {
  return `${name} on ${resource.type} ${resource.id}`
}

function authority(authority: { task?: string; permissions?: readonly unknown[] }): string {
  return `task ${authority.task ?? '(unnamed)'}: ${JSON.stringify(authority.permissions ?? [])}`
}
