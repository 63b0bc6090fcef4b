import type { Agent, Rule } from '@bailiwick/contracts'
import type { Story } from './story.ts'
import type { LeafEvent, Severity, Told } from './told.ts'

const high: Severity = 4

/** Each event of an emergency is of high severity, and so is a change of the people who may open one. */
export function inEmergency(told: Told, event: LeafEvent, story: Story): Told {
  if (opensEmergencies(event)) return { ...told, severity: high }
  if (!isOfEmergency(event, story)) return told
  return {
    ...told,
    severity: Math.max(told.severity, high) as Severity,
    message: `EMERGENCY: ${told.message}`,
    says: { ...told.says, emergency: true },
  } as Told
}

function isOfEmergency(event: LeafEvent, { grant, request }: Story): boolean {
  const asked = event.type === 'request.received' ? event.data : request
  return grant?.emergency === true || (asked?.kind === 'access' && asked.attestation?.kind === 'emergency')
}

function opensEmergencies({ type, data }: LeafEvent): boolean {
  if (type === 'rule.registered' || type === 'rule.changed') return (data.value as Rule).emergency !== undefined
  if (type !== 'agent.registered' && type !== 'agent.changed') return false
  return (data.value as Agent).attestor.kind === 'emergency'
}
