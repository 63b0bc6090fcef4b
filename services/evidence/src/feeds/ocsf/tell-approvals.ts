import type { Received, Story } from './story.ts'
import { failure, type LeafEvent, type LeafEventOf, success, type Told } from './told.ts'
import { agentOf, printable, privilegesOf } from './words.ts'

type RequestEvent = Extract<LeafEvent, { type: `request.${string}` }>

export const person = (id: string) => ({ uid: id, type_id: 1, type: 'User' }) as const
export const agentUser = (id: string) => ({ uid: id, type_id: 4, type: 'Service' }) as const
export const unknownUser = { uid: 'unknown', type_id: 0, type: 'Unknown' } as const
export const aiAgent = (instance: string, name?: string) => ({
  uid: agentOf(instance),
  ...(instance === agentOf(instance) ? {} : { instance_uid: instance }),
  ...(name === undefined ? {} : { name }),
})

const words = {
  'request.received': ['Asked', 'An agent asks'],
  'request.endorsed': ['Endorsed', 'One of several people agreed'],
  'request.approved': ['Approved', 'People approved'],
  'request.denied': ['Denied', 'A person denied'],
  'request.expired': ['Expired', 'No approver answered in time'],
  'request.cancelled': ['Cancelled', 'The agent took back what it asked'],
  'request.withdrawn': ['Withdrawn', 'A person withdrew what was approved'],
  'request.reviewed': ['Reviewed', 'A person read the report of the emergency'],
} as const

/** Requests to humans, and their answers. A change of the registry is about entities, every other request about an agent. */
export function tellRequest(event: RequestEvent, story: Story): Told {
  const request = event.type === 'request.received' ? event.data : story.request
  const [activityName, said] = words[event.type]
  const { request_id } = event.data
  const status = statusOf(event.type)
  if (request?.kind === 'registry') {
    return {
      class: 'entity_management',
      activity: 99,
      activityName,
      severity: 1,
      ...(status === undefined ? {} : { status }),
      message: `${said}: change of the registry ${request_id}`,
      body: {
        ...actorOf(event, request),
        entity: { uid: request_id, type_id: 99, type: 'Registry Change', data: { entities: namesOf(request) } },
      },
      says: { request_id },
    }
  }
  const agent = request?.agent ?? story.grant?.agent
  const authority = approvedAuthority(event) ?? (request?.kind === 'access' ? request.authority : undefined)
  return {
    class: 'user_management',
    activity: activityOf(event.type),
    activityName,
    severity: event.type === 'request.withdrawn' ? 3 : 1,
    ...(status === undefined ? {} : { status }),
    message: `${said}: request ${request_id}${agent === undefined ? '' : ` of ${printable(agent)}`}`,
    body: {
      ...actorOf(event, request),
      user: agent === undefined ? unknownUser : agentUser(agent),
      ...(agent === undefined ? {} : { ai_agent: aiAgent(agent, story.agentName) }),
      ...(authority === undefined ? {} : { privileges: privilegesOf(authority) }),
    },
    says: {
      request_id,
      ...(agent === undefined ? {} : { agent }),
      ...(request?.kind === 'access' ? { task: request.authority.task, mode: request.mode } : {}),
      ...(request?.kind === 'step_up'
        ? { grant_id: request.grant_id, action_digest: request.action.action_digest, mode: 'step_up' }
        : {}),
    },
  }
}

const activityOf = (type: RequestEvent['type']) =>
  type === 'request.approved' || type === 'request.denied' ? 14 : type === 'request.withdrawn' ? 15 : 99

function statusOf(type: RequestEvent['type']) {
  if (type === 'request.received' || type === 'request.endorsed') return undefined
  const isDone = type === 'request.approved' || type === 'request.withdrawn' || type === 'request.reviewed'
  return isDone ? success : failure(type.slice('request.'.length))
}

/** The authority to which the approvers narrowed the request. */
const approvedAuthority = (event: RequestEvent) =>
  (event.type === 'request.approved' || event.type === 'request.endorsed') && event.data.statement.kind === 'approval'
    ? event.data.statement.authority
    : undefined

const namesOf = ({ entities }: Extract<Received, { kind: 'registry' }>) =>
  entities.map(({ type, id }) => `${type} ${id}`)

function actorOf(event: RequestEvent, request: Received | undefined) {
  if ('by' in event.data) {
    const { by } = event.data
    return { actor: { user: by.startsWith('spiffe://') ? agentUser(by) : person(by) } }
  }
  if (event.type !== 'request.received' || request === undefined) return {}
  return { actor: { user: request.kind === 'registry' ? person(request.proposer) : agentUser(request.agent) } }
}

/** An offered passkey. */
export function tellEnrolment({ data }: LeafEventOf<'enrolment.offered'>): Told<'user_management'> {
  const { approver_id, groups, enrolment_id } = data
  return {
    class: 'user_management',
    activity: 12,
    severity: data.recovery === undefined ? 2 : 4,
    message: `A passkey is offered for ${approver_id}${data.recovery === undefined ? '' : ', by a recovery'}`,
    body: {
      user: { ...person(approver_id), groups: groups.map((name) => ({ name })) },
      auth_factors: [{ factor_type_id: 10, factor_type: 'WebAuthn' }],
    },
    says: { details: { enrolment_id, ...(data.recovery === undefined ? {} : { recovery: data.recovery }) } },
  }
}

const unknown = { id: 0, caption: 'Unknown', code: 'requested' } as const

/** A SIEM gets codes only. It does not even get the hash of a text that a person wrote. */
const codeOf = ({ reason }: { reason: unknown }) => (typeof reason === 'string' ? { reason } : {})

type Revoked = LeafEventOf<'revocation.declared'> | LeafEventOf<'revocation.requested'>

/** A revocation for an agent, a person or everyone; or the request for one at the console. */
export function tellRevocation(event: Revoked, story: Story): Told {
  const { kind, target, revocation_id } = event.data
  const declared = event.type === 'revocation.declared'
  const [by, isPerson] = declared
    ? [event.data.by.id, event.data.by.kind === 'approver' || event.data.by.kind === 'operator']
    : [event.data.by, true]
  const common = {
    severity: kind === 'all' ? 4 : 3,
    status: declared ? success : unknown,
    message: `${declared ? 'Revoked' : 'To be revoked'}: ${kind} ${printable(target)}, by ${printable(by)}`,
    says: { details: { revocation_id, kind, target, ...(declared ? codeOf(event.data) : {}) } },
  } as const
  const actor = { user: isPerson ? person(by) : agentUser(by) }
  if (kind === 'tool-server' || kind === 'all') {
    const entity = { uid: target, type_id: 99, type: kind === 'all' ? 'Installation' : 'Tool Server' } as const
    return { class: 'entity_management', activity: 9, ...common, body: { actor, entity } }
  }
  const agent = kind === 'agent' ? target : (story.lineage?.at(-1)?.agent ?? story.grant?.agent)
  return {
    class: 'user_management',
    activity: kind === 'credential' ? 19 : 15,
    ...common,
    body: {
      actor,
      user: kind === 'approver' ? person(target) : agent === undefined ? unknownUser : agentUser(agent),
      ...(agent === undefined || kind === 'approver' ? {} : { ai_agent: aiAgent(agent, story.agentName) }),
    },
  }
}

/** All revocations up to a sequence are durable. */
export function tellAcknowledged({ data }: LeafEventOf<'revocation.acknowledged'>): Told {
  const { sequence, max_staleness_ms } = data
  return {
    class: 'entity_management',
    activity: 99,
    activityName: 'Revocation Acknowledged',
    severity: 1,
    status: success,
    message: `Revocations up to ${sequence} are durable: they hold everywhere within ${max_staleness_ms} ms`,
    body: { entity: { uid: `revocation ${sequence}`, type_id: 99, type: 'Revocation' } },
    says: { details: { sequence, max_staleness_ms } },
  }
}
