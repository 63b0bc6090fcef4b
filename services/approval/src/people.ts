import { recoveryDelayMs } from '@bailiwick/approval-statement'
import type { Approver } from '@bailiwick/contracts'
import { encodeBase64url, sha256 } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import type { Approval } from './context.ts'
import { type Diff, proposeChange } from './propose-change.ts'
import { credentialOf, type Registrations } from './registrations.ts'
import { Transient } from './transient.ts'

const invitationMs = 30 * 60 * 1000
const mostInvitations = 1000

export interface Invited {
  approver_id: string
  name: string
  groups: string[]
}

/** What a person changed of the registry's people: nothing yet, but a request that people answer. */
export interface Proposed {
  request_id: string | null
  diff: Diff[]
}

/**
 * Approvers bring in others, and add and retire passkeys of their own. None of it changes anything: each becomes a change
 * of the registry, proposed by whoever did it, which people answer as any other (DESIGN §3).
 */
export class People {
  readonly #approval: Approval
  readonly #registrations: Registrations
  /** By the hash of its code: what is in memory lets nobody in. */
  readonly #invitations: Transient<Invited & { by: string }>

  constructor(approval: Approval, registrations: Registrations) {
    this.#approval = approval
    this.#registrations = registrations
    this.#invitations = new Transient({ lifeMs: invitationMs, max: mostInvitations, clock: approval.clock })
  }

  /** A link that registers one passkey for this person, once, within half an hour, while this process runs. */
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

  /** Creation options for whoever has the link, and whom it is for. Throws `invitation_invalid`. */
  async inviteeOptions(code: string) {
    const { approver_id, name, groups, by } = this.#invited(this.#invitations.get(sha256(code)))
    const begun = await this.#registrations.begin({ by: sha256(code), id: approver_id, name })
    return { ...begun, invited: { approver_id, name, groups, by } }
  }

  /** Proposes the invited person, with the passkey that was made, on behalf of who invited. Uses the link up (V10). */
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

  /** Proposes one more passkey of one's own. */
  async addPasskey(me: Approver, enrolmentId: string, response: unknown): Promise<Proposed> {
    this.#registrations.mustBeOf(enrolmentId, { by: 'session', id: me.id, name: me.name })
    const passkey = await this.#registrations.finish(enrolmentId, response)
    const credentials = [...me.credentials, credentialOf(passkey, this.#approval.clock.now())]
    return this.#change(me, credentials)
  }

  /** Proposes that a passkey of one's own counts no longer. Throws `registry_change_refused` for the only one. */
  async retirePasskey(me: Approver, credentialId: string): Promise<Proposed> {
    const credentials = me.credentials.filter(({ credential_id }) => credential_id !== credentialId)
    if (credentials.length === me.credentials.length) throw new ServiceError('entity_unknown', 'no passkey of yours')
    if (credentials.length === 0)
      throw new ServiceError('registry_change_refused', 'your only passkey: add another one first')
    return this.#change(me, credentials)
  }

  /** Proposes that a recovery lets nobody in. Throws `entity_unknown` for one that was used, retired or never announced. */
  async retireRecovery(me: Approver, id: string): Promise<Proposed> {
    if (!pendingRecoveries(this.#approval).some((recovery) => recovery.id === id))
      throw new ServiceError('entity_unknown', `recovery ${id}`)
    return proposeChange(this.#approval, me.id, [{ type: 'recovery', id, value: null }])
  }

  /** Who is enrolled, and what is on its way: for whoever is signed in. */
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

  /** An invitation is worth what its maker is: who is no longer enrolled invites nobody. */
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

/** Every group that a person is in or a rule names, with its people, and the rules that wait for them. */
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

/** Recoveries that were neither used nor retired: everybody who is there should see them, and may have them retired. */
export function pendingRecoveries({ projection }: Approval) {
  return [...projection.ledger.registry.view().recoveries.values()]
    .filter(({ used }) => !used)
    .map(({ value: { jwk: _, ...recovery }, takenAt }) => ({
      ...recovery,
      registered_at: new Date(takenAt).toISOString(),
      usable_from: new Date(takenAt + recoveryDelayMs).toISOString(),
    }))
}
