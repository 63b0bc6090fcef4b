import { isEmergency } from '@bailiwick/approval-statement'
import type { Agent, Approver, DecodedEvent, EventData, Recovery, Rule } from '@bailiwick/contracts'
import { isOfEmergency } from '@bailiwick/projection'
import type { Approval } from '../context.ts'
import { allApprovers } from './addressees.ts'
import { type Notice, plainLine, plainLines } from './notice.ts'
import { noticeId } from './request-notices.ts'

/**
 * Alarms to all approvers, including the one who acted: a stop, a recovery, or a single approver who let a person in or into the
 * registry's group, or an emergency. Not counted as prompts.
 */
export function alarmNotice(approval: Approval, topic: string, event: DecodedEvent): Notice | undefined {
  const words =
    emergency(approval, event) ??
    (event.type === 'revocation.declared'
      ? stopped(event.data)
      : topic === 'registry.v1'
        ? governance(approval, event as DecodedEvent<'registry.v1'>)
        : undefined)
  if (words === undefined) return undefined
  return {
    kind: words.kind,
    subject: plainLine(words.subject),
    lines: plainLines(words.lines),
    id: noticeId(event.id),
    at: Date.parse(event.time),
    to: allApprovers(approval),
    url: `${approval.publicUrl}/console`,
  }
}

/** An emergency from its opening to its end, told to all approvers. A person who did not act then reads its report. */
function emergency({ projection }: Approval, event: DecodedEvent): Words | undefined {
  switch (event.type) {
    case 'request.received':
      if (!isOfEmergency({ received: event.data }) || event.data.kind !== 'access') return undefined
      return {
        kind: 'emergency_opened',
        subject: `EMERGENCY opened as ${event.data.agent}`,
        lines: ['It goes round the rules for approval once two people have signed it', `Until ${event.data.not_after}`],
      }
    case 'grant.created': {
      const { statement, assertions } = event.data.grant
      if (statement.emergency !== true) return undefined
      const people = assertions.map(({ credential_id: id }) => projection.ledger.registry.passkey(id)?.approver.id)
      return {
        kind: 'emergency_granted',
        subject: `EMERGENCY is live as ${statement.agent}`,
        lines: [`Signed by ${[...new Set(people)].sort().join(' and ')}`, `Until ${statement.not_after}`],
      }
    }
    case 'grant.completed':
    case 'grant.expired':
      return event.data.grant.statement.emergency === true ? over(event.data.grant.request_id) : undefined
    case 'request.withdrawn':
      return isOfEmergency(projection.ledger.requests.requests.get(event.subject) ?? {})
        ? over(event.subject)
        : undefined
    default:
      return undefined
  }
}

const over = (requestId: string): Words => ({
  kind: 'emergency_over',
  subject: 'EMERGENCY is over',
  lines: [
    `Read what was done: bailiwick report emergency ${requestId}`,
    'Then say so in the console, which shows a banner until then',
  ],
})

type Words = Pick<Notice, 'kind' | 'subject' | 'lines'>

/** Credentials and delegations, and what agents give up on their own, raise no alarm: there could be no end of them. */
function stopped({ kind, target, by }: EventData<'revocations.v1', 'revocation.declared'>): Words | undefined {
  if (by.kind === 'agent' || kind === 'credential' || kind === 'delegation') return undefined
  const what = kind === 'all' ? 'everything' : `${kind} ${target}`
  return {
    kind: 'stopped',
    subject: `Stopped: ${what}`,
    lines: [`By ${by.kind} ${by.id}`, 'Final: a new approval is the only way back'],
  }
}

function governance(approval: Approval, { type, data, time }: DecodedEvent<'registry.v1'>): Words | undefined {
  if (type === 'recovery.registered') {
    const { approver_id, name } = data.value as Recovery
    return {
      kind: 'recovery_announced',
      subject: `Recovery announced: the root key's holder wants to enrol ${approver_id}`,
      lines: [
        `In 24 hours a new passkey may be enrolled for ${approver_id} (${name}) without any approver's yes`,
        'If none of you began this: retire the recovery in the console before then, and find out who has the root key',
      ],
    }
  }
  if ((type === 'rule.registered' || type === 'rule.changed') && (data.value as Rule).emergency !== undefined) {
    const { id, approvers } = data.value as Rule
    return {
      kind: 'emergency_rule_changed',
      subject: `Emergencies: the rule ${id} is another one`,
      lines: [
        `From now on ${approvers.quorum} of the group ${approvers.group} can go round the other rules, up to its ceiling`,
      ],
    }
  }
  if ((type === 'agent.registered' || type === 'agent.changed') && isEmergency(data.value as Agent)) {
    const { id, owner } = data.value as Agent
    return {
      kind: 'emergency_rule_changed',
      subject: `Emergencies: ${owner} may act as ${id}`,
      lines: ['From now on, once enough people of the group of a rule for emergencies have signed'],
    }
  }
  if (type !== 'approver.registered' && type !== 'approver.changed') return undefined
  const { id, name } = data.value as Approver
  const { authorization } = data
  if (authorization.kind === 'recovery')
    return {
      kind: 'recovery_used',
      subject: `Recovery used: ${id} was enrolled by the root key's recovery`,
      lines: [`${id} (${name}) has a new passkey, by recovery ${authorization.recovery}`],
    }
  if (authorization.kind !== 'approvers') return undefined
  const { registry } = approval.projection.ledger
  const signers = authorization.assertions.map(({ credential_id }) => registry.passkey(credential_id)?.approver.id)
  const [signer = 'One person', ...others] = new Set(signers)
  if (approval.trust.single_operator) return undefined
  if (others.length > 0)
    return joined(approval, data.value as Approver, type === 'approver.changed' ? Date.parse(time) - 1 : undefined)
  const isNew = type === 'approver.registered'
  return {
    kind: 'approver_enrolled_alone',
    subject: isNew
      ? `${signer} enrolled the second approver, ${id}, alone`
      : `${signer} let ${id} into the group that may change the registry, alone`,
    lines: [
      `${id} (${name}) may ${isNew ? 'approve' : 'change the registry'} from now on; only ${signer} approved that`,
    ],
  }
}

/** A person who joins the group of a rule for emergencies can open one, and can sign those of others. */
function joined(
  { projection }: Approval,
  { id, name, groups }: Approver,
  knownAt: number | undefined,
): Words | undefined {
  const { registry } = projection.ledger
  const before = knownAt === undefined ? [] : registry.view(knownAt).approvers.get(id)?.groups
  const opens = registry
    .all('rule')
    .filter(({ emergency, approvers: { group } }) => {
      return emergency !== undefined && groups.includes(group) && !before?.includes(group)
    })
    .map(({ approvers: { group } }) => group)
  if (opens.length === 0) return undefined
  return {
    kind: 'emergency_rule_changed',
    subject: `Emergencies: ${id} is of the group ${[...new Set(opens)].sort().join(' and ')}`,
    lines: [`${id} (${name}) may sign emergencies from now on`],
  }
}
