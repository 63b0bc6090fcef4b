import { recoveryDelayMs } from '@bailiwick/approval-statement'
import type { Approver } from '@bailiwick/contracts'
import { encodeBase64url, sha256 } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import type { Approval } from '../context.ts'
import { type Diff, proposeChange } from '../registry/propose-change.ts'
import { Transient } from '../transient.ts'
import { credentialOf, type Registrations } from './registrations.ts'

const invitationMs = 30 * 60 * 1000
const mostInvitations = 1000

export interface Invited {
  approver_id: string
  name: string
  groups: string[]
}

/** A change of the registry's people that a person proposed. It has no effect yet: it is a request that people answer. */
export interface Proposed {
  request_id: string | null
  diff: Diff[]
}

/**
 * Approvers invite others, and add and retire their own passkeys. None of this takes effect directly: each becomes a change of the
 * registry, proposed by the person who did it, which people answer like any other (DESIGN §3).
 */
export class People {
  readonly #approval: Approval
  readonly #registrations: Registrations
  /** By the hash of its code: memory holds nothing with which an invitation could be used. */
  readonly #invitations: Transient<Invited & { by: string }>

  constructor(approval: Approval, registrations: Registrations) {
    this.#approval = approval
    this.#registrations = registrations
    this.#invitations = new Transient({ lifeMs: invitationMs, max: mostInvitations, clock: approval.clock })
  }

  /** A link that registers one passkey for this person. It works once, within half an hour, while this process runs. */
  invite(me: Approver, person: Invited) {
    const { random, clock, publicUrl } = this.#approval
    this.#refuseKnown(person.approver_id)
    const code = encodeBase64url(random(32))
    this.#invitations.put(sha256(code), { ...person, by: me.id }, me.id)
    return {
      code,
      link: `${publicUrl}/#invite=${code}`,
      expires_at: new Date(clock.now() + invitationMs).toISOString(),
    }
  }

  /** Creation options for the holder of the link, and the person it is for. Throws `invitation_invalid`. */
  async inviteeOptions(code: string) {
    const { approver_id, name, groups, by } = this.#invited(this.#invitations.get(sha256(code)))
    const begun = await this.#registrations.begin({ by: sha256(code), id: approver_id, name })
    return { ...begun, invited: { approver_id, name, groups, by } }
  }

  /** Proposes the invited person with the new passkey, on behalf of the inviter. Uses the link up (V10). */
  async enrolInvitee(enrolmentId: string, response: unknown, code: string): Promise<Proposed & { by: string }> {
    const { approver_id, name, groups } = this.#invited(this.#invitations.get(sha256(code)))
    this.#registrations.mustBeOf(enrolmentId, { by: sha256(code), id: approver_id, name })
    const passkey = await this.#registrations.finish(enrolmentId, response)
    const { by } = this.#invited(this.#invitations.take(sha256(code)))
    this.#refuseKnown(approver_id)
    const credentials = [credentialOf(passkey, this.#approval.clock.now())]
    const value: Approver = { id: approver_id, name, groups, credentials }
    return { ...(await proposeChange(this.#approval, by, [{ type: 'approver', id: approver_id, value }])), by }
  }

  passkeyOptions({ id, name, credentials }: Approver) {
    return this.#registrations.begin({ by: 'session', id, name }, credentials)
  }

  /** Proposes another passkey for the person who asks. */
  async addPasskey(me: Approver, enrolmentId: string, response: unknown): Promise<Proposed> {
    this.#registrations.mustBeOf(enrolmentId, { by: 'session', id: me.id, name: me.name })
    const passkey = await this.#registrations.finish(enrolmentId, response)
    const credentials = [...me.credentials, credentialOf(passkey, this.#approval.clock.now())]
    return this.#change(me, credentials)
  }

  /** Proposes to retire one of the person's own passkeys. Throws `registry_change_refused` for the only one. */
  async retirePasskey(me: Approver, credentialId: string): Promise<Proposed> {
    const credentials = me.credentials.filter(({ credential_id }) => credential_id !== credentialId)
    if (credentials.length === me.credentials.length) throw new ServiceError('entity_unknown', 'no passkey of yours')
    if (credentials.length === 0)
      throw new ServiceError('registry_change_refused', 'your only passkey: add another one first')
    return this.#change(me, credentials)
  }

  /** Proposes to retire a recovery, so that it lets no one in. Throws `entity_unknown` if it was used, retired or never announced. */
  async retireRecovery(me: Approver, id: string): Promise<Proposed> {
    if (!pendingRecoveries(this.#approval).some((recovery) => recovery.id === id))
      throw new ServiceError('entity_unknown', `recovery ${id}`)
    return proposeChange(this.#approval, me.id, [{ type: 'recovery', id, value: null }])
  }

  /** The enrolled people and the pending changes, for a signed-in person. */
  view(me: Approver) {
    const { registry } = this.#approval.projection.ledger
    const { single_operator } = this.#approval.trust
    return {
      single_operator,
      approvers: registry.approvers.map(({ credentials, ...person }) => ({ ...person, passkeys: credentials.length })),
      groups: groupsOf(this.#approval),
      my_passkeys: me.credentials.map(({ credential_id, registered_at }) => ({ credential_id, registered_at })),
      recoveries: pendingRecoveries(this.#approval),
    }
  }

  #change(me: Approver, credentials: Approver['credentials']): Promise<Proposed> {
    return proposeChange(this.#approval, me.id, [{ type: 'approver', id: me.id, value: { ...me, credentials } }])
  }

  /** An invitation is worth as much as its maker: if the maker is no longer enrolled, it is invalid. */
  #invited(invitation: (Invited & { by: string }) | undefined): Invited & { by: string } {
    const { registry } = this.#approval.projection.ledger
    if (invitation === undefined || registry.get('approver', invitation.by) === undefined)
      throw new ServiceError('invitation_invalid', 'the link was used, or is too old: ask for another one')
    return invitation
  }

  #refuseKnown(id: string): void {
    if (this.#approval.projection.ledger.registry.get('approver', id))
      throw new ServiceError('registry_change_conflict', `there is an approver ${id} already`)
  }
}

/** Every group that a person is in or a rule names, with its people and the rules that wait for them. */
function groupsOf({ projection }: Approval) {
  const { approvers, rules } = projection.ledger.registry
  const names = new Set([...approvers.flatMap(({ groups }) => groups), ...rules.map((rule) => rule.approvers.group)])
  return [...names].sort().map((id) => ({
    id,
    members: approvers.filter(({ groups }) => groups.includes(id)).map(({ id, name }) => ({ id, name })),
    rules: rules
      .filter((rule) => rule.approvers.group === id)
      .map((rule) => ({ id: rule.id, quorum: rule.approvers.quorum })),
  }))
}

/** Recoveries that were neither used nor retired. All enrolled people should see them, and may have them retired. */
export function pendingRecoveries({ projection }: Approval) {
  return [...projection.ledger.registry.view().recoveries.values()]
    .filter(({ used }) => !used)
    .map(({ value: { jwk: _, ...recovery }, takenAt }) => ({
      ...recovery,
      registered_at: new Date(takenAt).toISOString(),
      usable_from: new Date(takenAt + recoveryDelayMs).toISOString(),
    }))
}
