import type { TraceStep } from '../types.ts'

export type Tone = 'good' | 'bad' | 'warn' | 'plain'

const known: Record<string, readonly [words: string, tone: Tone]> = {
  'request.received': ['Asked', 'plain'],
  'request.endorsed': ['Signed, more people needed', 'plain'],
  'request.approved': ['Approved', 'good'],
  'request.denied': ['Denied by a person', 'bad'],
  'request.expired': ['Expired unanswered', 'warn'],
  'request.cancelled': ['Taken back by the agent', 'plain'],
  'request.withdrawn': ['Withdrawn', 'bad'],
  'grant.created': ['Granted', 'good'],
  'grant.completed': ['Grant completed', 'plain'],
  'grant.expired': ['Grant expired', 'plain'],
  'grant.suspended': ['Grant suspended', 'warn'],
  'grant.resumed': ['Grant resumed', 'plain'],
  'grant.rebound': ['Grant bound to a new key', 'warn'],
  'delegation.redeemed': ['Passed on', 'plain'],
  'credential.intended': ['Credential', 'plain'],
  'credential.issued': ['Credential issued', 'plain'],
  'credential.refused': ['Credential refused', 'bad'],
  'decision.allowed': ['Allowed', 'good'],
  'decision.denied': ['Denied', 'bad'],
  'decision.abandoned': ['Allowed too late, taken back', 'warn'],
  'denials.summarised': ['Denials, summed up', 'bad'],
  'outcome.reported': ['Outcome', 'plain'],
  'outcome.missing': ['Outcome missing', 'bad'],
  'revocation.requested': ['Stop asked for', 'bad'],
  'revocation.declared': ['Revoked', 'bad'],
  'revocation.acknowledged': ['Revocation is durable', 'plain'],
  'gap.detected': ['Events missing', 'bad'],
  'event.refused': ['Event refused', 'bad'],
  'event.parked': ['Unreadable event', 'bad'],
  'outcome.unrelayed': ['Outcome not relayed', 'bad'],
  'outcome.refused': ['Second outcome, not taken', 'bad'],
  'outcome.skipped': ['Outcomes missing', 'bad'],
  'outcome.contradicted': ['Outcome contradicted', 'bad'],
  'policy-files.changed': ['Policy files changed', 'bad'],
  'value.erased': ['Words erased', 'warn'],
}

/** The words for an event of this type, and whether it is bad news. */
export const wordsOf = (type: string): string => known[type]?.[0] ?? capital(type.replace(/[.-]/g, ' '))
export const toneOf = (type: string): Tone => known[type]?.[1] ?? 'plain'

const capital = (words: string) => words.slice(0, 1).toUpperCase() + words.slice(1)

type Data = Record<string, unknown>
const within = (data: unknown, ...path: string[]): string | undefined => {
  let at = data
  for (const member of path) at = typeof at === 'object' && at !== null ? (at as Data)[member] : undefined
  return typeof at === 'string' ? at : undefined
}

const by = (who: string | undefined) => (who === undefined ? undefined : `by ${who}`)

/** The detail of a step that people look for first. It is untrusted text. */
export function gistOf({ type, data, subject }: Pick<TraceStep, 'type' | 'data' | 'subject'>): string {
  const gist = ((): (string | undefined)[] => {
    switch (type) {
      case 'request.received':
        return [within(data, 'authority', 'task') ?? within(data, 'action', 'resource', 'id')]
      case 'grant.created':
        return [within(data, 'grant', 'authority', 'task')]
      case 'delegation.redeemed':
        return [within(data, 'agent')]
      case 'credential.intended':
      case 'credential.refused':
        return [within(data, 'credential_id') ?? subject, within(data, 'reason')]
      case 'decision.allowed':
      case 'decision.denied':
        return [within(data, 'action', 'name'), within(data, 'action', 'resource', 'id'), within(data, 'reason')]
      case 'outcome.reported':
        return [within(data, 'status')]
      case 'revocation.declared':
        return [within(data, 'kind'), within(data, 'target'), within(data, 'reason'), by(within(data, 'by', 'id'))]
      case 'event.refused':
      case 'event.parked':
        return [within(data, 'topic'), within(data, 'code')]
      default:
        return [subject]
    }
  })().filter((word) => word !== undefined)
  return gist.join(' · ')
}

/** The agent that acted, where the event says so: the sub-agent if there is one, otherwise the agent. */
export const actorOf = ({ data }: Pick<TraceStep, 'data'>): string | undefined =>
  within(data, 'actor', 'sub_agent') ??
  within(data, 'actor', 'agent') ??
  within(data, 'agent') ??
  within(data, 'grant', 'agent')

/** The address of an event's story: that of its subject, where the subject has one. */
export const storyOf = ({ subject, event_id }: { subject: string; event_id: string }): string =>
  `/console/evidence/${encodeURIComponent(/^(req|grt|dlg|crd|dec)_/.test(subject) ? subject : event_id)}`
