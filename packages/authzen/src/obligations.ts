import type { Obligation, obligationTypes } from '@bailiwick/contracts'
import type { Duties } from '@bailiwick/policy'

/** The subject of a notification. It has no arguments: the recipients that a policy names have no right to them. */
export interface About {
  subject: string
  action: string
  resource: { type: string; id: string }
  decision: boolean
  decisionId?: string
}

/** Spells duties as the AuthZEN Profile for Obligations, Draft 1, defines them. The same duties are always spelled alike. */
export function spellObligations(duties: Duties, about: About): Obligation[] {
  const { redact, limitBytes, reportSeconds, notify } = duties
  const vendor = 'bailiwick'
  const custom = (properties: Extract<Obligation, { type: 'custom' }>['properties']) =>
    ({ id: properties.action.replaceAll('_', '-'), type: 'custom', properties }) as Obligation
  return [
    ...(redact.length === 0 ? [] : [custom({ vendor, action: 'redact', fields: [...redact] })]),
    ...(limitBytes === undefined ? [] : [custom({ vendor, action: 'limit', bytes: limitBytes })]),
    ...(reportSeconds === undefined ? [] : [custom({ vendor, action: 'report_outcome_by', seconds: reportSeconds })]),
    ...notify.map(({ to, policies }, n): Obligation => {
      const topic = upTo(512, `policy ${policies.join(', ')}`)
      return { id: `notification-${n + 1}`, type: 'notification', properties: { to, topic, body: inWords(about) } }
    }),
  ]
}

/** `step_up_required` asks enough of the grant's approvers, each with a passkey, to approve this very action. */
export const stepUpObligation: Obligation = {
  id: 'step-up',
  type: 'step-up',
  properties: { acr_value: 'urn:bailiwick:acr:approvers' },
}

/**
 * Whether the enforcement point's declaration covers all these duties ("Negotiation"). A point that declares nothing rules nothing out.
 * Declared types that this PDP never uses are ignored.
 */
export function isSupported(
  { redact, limitBytes, reportSeconds, notify }: Duties,
  declared: readonly string[] | undefined,
) {
  if (declared === undefined) return true
  const can = (type: (typeof obligationTypes)[number]) => declared.includes(type)
  const isCustom = redact.length > 0 || limitBytes !== undefined || reportSeconds !== undefined
  return (!isCustom || can('custom')) && (notify.length === 0 || can('notification'))
}

/** The lower of two limits. */
export const least = (...limits: (number | undefined)[]): number | undefined => {
  const given = limits.filter((limit) => limit !== undefined)
  return given.length === 0 ? undefined : Math.min(...given)
}

function inWords({ subject, action, resource, decision, decisionId }: About): string {
  const call = `${cut(subject)}: ${cut(action)} on ${cut(resource.type)} ${cut(resource.id)}`
  return `${decision ? 'Allowed' : 'Denied'}: ${call}${decisionId === undefined ? '' : ` (${decisionId})`}`
}

/** The recipient needs a name, not a document. The decision holds the whole name. */
const cut = (name: string) => (name.length > 200 ? `${upTo(200, name)}…` : name)

/** A character that was cut in half could not be signed, and every reader would refuse an event that holds it. */
const upTo = (most: number, text: string) => text.slice(0, most).toWellFormed()
