import { type DecodedEvent, type EventData, type EventTypeOf, eventRow, type LeafEventType } from '@bailiwick/contracts'
import { claimsInProcess } from '@bailiwick/credentials'
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
  const ended = new Set(steps.filter(({ type }) => eventRow(type)?.ends !== undefined).map(({ subject }) => subject))
  return steps
    .filter(({ type, subject }) => type === 'decision.allowed' && !ended.has(subject))
    .map(
      ({ subject }) =>
        `What came of ${subject} is NOT in this bundle: it may not have been known yet, or was left out.`,
    )
}

type DataOf<T> = Extract<DecodedEvent, { type: T }>['data']
/** `by`: the people, agents or points whose signatures were verified. */
type Sentence<T> = (data: DataOf<T>, by: string) => string
/** The registry is what a story is judged by, and is not told. */
type Told = Exclude<LeafEventType, EventTypeOf<'registry.v1'>>

/** Its type and its subject are its sentence. */
const byName = undefined

/** The compiler asks for an event that is missing. */
const sentences: { readonly [T in Told]: Sentence<T> | typeof byName } = {
  'request.received': asked,
  'request.endorsed': byName,
  'request.approved': ({ statement }, by) => `${by} approved, with a passkey, exactly this: ${approved(statement)}`,
  'request.denied': ({ by }) => `${by} said no`,
  'request.expired': byName,
  'request.cancelled': byName,
  'request.withdrawn': ({ by }) => `${by} took the approval back`,
  'request.reviewed': ({ by }) => `${by} read the report of the emergency`,
  'enrolment.offered': byName,
  'revocation.requested': byName,
  'grant.created': ({ grant }) => `the grant was recorded, valid from ${grant.not_before} to ${grant.not_after}`,
  'grant.completed': byName,
  'grant.expired': byName,
  'grant.suspended': byName,
  'grant.resumed': byName,
  'grant.rebound': ({ grant }) => `the grant moved to ${grant.agent}, another instance of the same agent`,
  'delegation.redeemed': ({ agent, not_after, authority: passedOn }, by) =>
    `${by} passed a part of it on to ${agent}, and signed that with its own key: ${authority(passedOn)}, until ${not_after}`,
  'credential.intended': ({ agent, expires_at }) =>
    `the issuer recorded that it would give ${agent} a credential until ${expires_at}`,
  'credential.issued': () => 'the credential was issued',
  'credential.refused': byName,
  'decision.allowed': (data) =>
    `the decision point ALLOWED ${action(data.action)}, which ${data.enforcement_point} had asked for ${acting(data.actor)}${data.step_up === undefined ? '' : '; people had said yes to this very action'}${data.continues === undefined ? '' : `; it goes on with the call of ${data.continues.decision_id}, and counts as no further call`}`,
  'decision.denied': (data) =>
    `the decision point DENIED ${data.action === undefined ? 'it' : action(data.action)}${data.actor?.agent === undefined ? '' : `, asked for ${acting(data.actor)}`}: ${data.reason}`,
  'decision.abandoned': () => 'the decision was taken back before anybody was answered',
  'outcome.reported': ({ status, outcome }, by) =>
    `${by} reported what came of it: ${status}${claimsInProcess(outcome) ? '; it stands in the agent’s own process, so this was advice and no enforcement' : ''}`,
  'outcome.missing': () => 'no outcome was reported in time',
  'outcome.refused': byName,
  'denials.summarised': byName,
  'candidate.answered': byName,
  'engines.differed': byName,
  'revocation.declared': ({ kind, target }) => `it was WITHDRAWN: ${kind} ${target}`,
  'revocation.acknowledged': ({ sequence }) => `the issuer had read back every revocation up to ${sequence}`,
  'gap.detected': byName,
  'outcome.unrelayed': byName,
  'outcome.skipped': byName,
  'outcome.contradicted': byName,
  'event.refused': byName,
  'event.parked': byName,
  'policy-files.changed': byName,
  'leaves.dropped': byName,
  'value.erased': byName,
}

function whatHappened({ type, subject, data, signed_by = [] }: Step): string {
  const sentence = Object.hasOwn(sentences, type) ? (sentences[type as Told] as Sentence<Told> | undefined) : undefined
  return sentence?.(data as DataOf<Told>, signed_by.join(', ')) ?? `${type} ${subject}`
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
