import type { GrantFacts, Story } from './story.ts'
import { agentUser, aiAgent, unknownUser } from './tell-approvals.ts'
import { failure, type LeafEvent, type LeafEventOf, type Severity, success, type Told } from './told.ts'
import { printable, privilegesOf } from './words.ts'

type GrantEvent = Extract<LeafEvent, { type: `grant.${string}` }>

const issuer = 'bailiwick'
const ms = (time: string) => Date.parse(time)

const lives: Record<GrantEvent['type'], [activityName: string, severity: Severity]> = {
  'grant.created': ['Granted', 1],
  'grant.completed': ['Completed', 1],
  'grant.expired': ['Expired', 1],
  'grant.suspended': ['Suspended', 3],
  'grant.resumed': ['Resumed', 2],
  'grant.rebound': ['Rebound', 2],
}

/** An event in a grant's own life. */
export function tellGrant(event: GrantEvent, story: Story): Told<'authorize_session'> {
  const { grant, cause } = event.data
  const [activityName, severity] = lives[event.type]
  return {
    class: 'authorize_session',
    activity: event.type === 'grant.created' ? 1 : 99,
    activityName,
    severity,
    status: success,
    message: `${activityName}: grant ${grant.id} of ${printable(grant.agent)}`,
    body: {
      user: agentUser(grant.agent),
      ai_agent: aiAgent(grant.agent, story.agentName),
      privileges: privilegesOf(grant.authority),
      session: {
        uid: grant.id,
        issuer,
        created_time: ms(grant.not_before),
        expiration_time: ms(grant.not_after),
      },
    },
    says: { agent: grant.agent, grant_id: grant.id, ...(cause === undefined ? {} : { reason: cause }) },
  }
}

/** A sub-agent got a part of a grant. */
export function tellDelegation(
  { data, time }: LeafEventOf<'delegation.redeemed'>,
  story: Story,
): Told<'authorize_session'> {
  const { agent, authority, grant_id, delegation_id, not_after } = data
  return {
    class: 'authorize_session',
    activity: 1,
    activityName: 'Delegated',
    severity: 1,
    status: success,
    message: `Delegated: ${delegation_id} of grant ${grant_id} to ${printable(agent)}`,
    body: {
      ...(story.grant === undefined
        ? {}
        : { actor: { user: agentUser(story.lineage?.at(-2)?.agent ?? story.grant.agent) } }),
      user: agentUser(agent),
      ai_agent: aiAgent(agent, story.agentName),
      privileges: privilegesOf(authority),
      session: { uid: grant_id, issuer, created_time: ms(time), expiration_time: ms(not_after) },
    },
    says: { agent, grant_id },
  }
}

type CredentialEvent = Extract<LeafEvent, { type: `credential.${string}` }>

/** A credential is about to be signed, was signed, or was not signed. */
export function tellCredential(event: CredentialEvent, story: Story): Told<'authorize_session'> {
  const { grant_id, credential_id } = event.data
  const agent = 'agent' in event.data ? event.data.agent : (story.lineage?.at(-1)?.agent ?? story.grant?.agent)
  const refused = event.type === 'credential.refused'
  const activityName = refused
    ? 'Credential Refused'
    : event.type === 'credential.issued'
      ? 'Credential Issued'
      : 'Credential Intended'
  const times =
    event.type === 'credential.intended'
      ? { created_time: ms(event.data.issued_at), expiration_time: ms(event.data.expires_at) }
      : {}
  return {
    class: 'authorize_session',
    activity: event.type === 'credential.issued' ? 1 : 99,
    activityName,
    severity: refused ? 2 : 1,
    status: refused ? failure(event.data.reason) : success,
    message: `${activityName}: ${credential_id ?? 'none'} of grant ${grant_id}`,
    body: {
      user: agent === undefined ? unknownUser : agentUser(agent),
      ...(agent === undefined ? {} : { ai_agent: aiAgent(agent, story.agentName) }),
      privileges: ofGrant(story.grant),
      session: {
        uid: grant_id,
        issuer,
        ...(credential_id === undefined ? {} : { credential_uid: credential_id }),
        ...times,
      },
    },
    says: {
      grant_id,
      ...(agent === undefined ? {} : { agent }),
      ...(credential_id === undefined ? {} : { credential_id }),
      ...(refused ? { reason: event.data.reason } : {}),
    },
  }
}

const ofGrant = (grant: GrantFacts | undefined) => privilegesOf(grant?.authority)
