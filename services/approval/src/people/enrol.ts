import { recoveryDelayMs } from '@bailiwick/approval-statement'
import type { Recovery } from '@bailiwick/contracts'
import { type VerifyingKey, verifyInvitation, verifyingKey } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import type { Approval } from '../context.ts'
import type { Registrations } from './registrations.ts'
import type { Enrolled } from './sessions.ts'

const enrolledWithinMs = 5000

/**
 * Makes an approver of a passkey on the word of a key rather than of a signed-in person: the first approver's invitation, or a recovery.
 * The key's holder signs, in the browser, for exactly the passkey that the authenticator made. Approval only passes that on; the issuer
 * and every reader verify it (DESIGN §3).
 */
export class Enrolment {
  readonly #approval: Approval
  readonly #registrations: Registrations

  constructor(approval: Approval, registrations: Registrations) {
    this.#approval = approval
    this.#registrations = registrations
  }

  /** Creation options, and what the invitation must say besides the passkey. Throws `invitation_invalid` if it was used already. */
  async options(approverId: string, name: string) {
    this.#refuseIfEnrolled()
    return this.#offer({ by: 'invitation', id: approverId, name }, this.#groups())
  }

  /** The same for the one person whom a recovery names. Throws `invitation_invalid` while its 24 h run, and once it has been used. */
  async recoveryOptions(id: string) {
    const { approver_id, name, groups } = this.#recovery(id)
    return this.#offer({ by: `recovery ${id}`, id: approver_id, name }, groups)
  }

  async #offer(registrant: { by: string; id: string; name: string }, groups: string[]) {
    const { installation } = this.#approval.trust
    const invitation = { installation, approver_id: registrant.id, name: registrant.name, groups }
    return { ...(await this.#registrations.begin(registrant)), invitation }
  }

  /** Offers the first approver's passkey to the issuer, and waits until the issuer has made an approver of it. */
  async enrol(enrolmentId: string, response: unknown, invitation: string): Promise<Enrolled> {
    this.#refuseIfEnrolled()
    const { keyRing, projection } = this.#approval
    const { registry } = projection.ledger
    return this.#enrol(enrolmentId, response, {
      invitation,
      by: 'invitation',
      key: keyRing.invitation,
      decided: (passkey) => (registry.view().enrolled ? (registry.passkey(passkey)?.approver.id ?? '') : undefined),
    })
  }

  /** As `enrol`, on the word of a recovery. The person's other passkeys are then removed, since they count as lost. */
  async recover(enrolmentId: string, response: unknown, invitation: string, id: string): Promise<Enrolled> {
    const { jwk } = this.#recovery(id)
    const key = verifyingKey('invitation', jwk)
    if (key === undefined) throw new ServiceError('invitation_invalid', 'the key of the recovery is none')
    const { registry } = this.#approval.projection.ledger
    return this.#enrol(enrolmentId, response, {
      invitation,
      recovery: id,
      by: `recovery ${id}`,
      key,
      decided: (passkey) =>
        registry.view().recoveries.get(id)?.used ? (registry.passkey(passkey)?.approver.id ?? '') : undefined,
    })
  }

  async #enrol(enrolmentId: string, response: unknown, word: Word): Promise<Enrolled> {
    const { trust, producer, projection } = this.#approval
    const passkey = await this.#registrations.finish(enrolmentId, response)
    const { invitation, recovery, key, by } = word
    const invited = verifyInvitation({ invitation, key, installation: trust.installation })
    if (!invited.ok) throw new ServiceError('invitation_invalid', invited.detail)
    const { credential_id, public_key, approver_id, name, groups } = invited.value
    if (credential_id !== passkey.credential_id || public_key !== passkey.public_key)
      throw new ServiceError('invitation_invalid', 'signed for another passkey')
    this.#registrations.mustBeOf(enrolmentId, { by, id: approver_id, name })
    const facts = { enrolment_id: enrolmentId, approver_id, name, groups, ...passkey, invitation }
    await producer.publishOne('approvals.v1', {
      type: 'enrolment.offered',
      subject: enrolmentId,
      version: 1,
      data: { ...facts, ...(recovery === undefined ? {} : { recovery }) },
    })
    const approver = await projection.until(() => word.decided(credential_id), enrolledWithinMs)
    if (approver === undefined) throw new ServiceError('deadline_exceeded', 'offered, and not yet enrolled')
    if (approver !== approver_id) throw new ServiceError('invitation_invalid', 'another person was quicker')
    return { approverId: approver, credentialId: credential_id }
  }

  #recovery(id: string): Recovery {
    const { projection, clock } = this.#approval
    const recovery = projection.ledger.registry.view().recoveries.get(id)
    if (recovery === undefined) throw new ServiceError('invitation_invalid', 'there is no such recovery')
    if (recovery.used) throw new ServiceError('invitation_invalid', 'the recovery was used: sign in')
    const usableFrom = recovery.takenAt + recoveryDelayMs
    if (clock.now() < usableFrom)
      throw new ServiceError(
        'invitation_invalid',
        `the recovery can be used from ${new Date(usableFrom).toISOString()}`,
      )
    return recovery.value
  }

  #refuseIfEnrolled(): void {
    if (this.#approval.projection.ledger.registry.view().enrolled)
      throw new ServiceError('invitation_invalid', 'it was used: sign in')
  }

  /** The groups that rules name. Without them, the first approver could approve nothing and enrol no other approver. */
  #groups(): string[] {
    const named = this.#approval.projection.ledger.registry.rules.map(({ approvers }) => approvers.group)
    return [...new Set(named)].sort().slice(0, 32)
  }
}

/** The word on which a person is enrolled. `decided`, once it is settled: the new approver, or '' if another enrolment was quicker. */
interface Word {
  invitation: string
  recovery?: string
  by: string
  key: VerifyingKey<'invitation'>
  decided: (credentialId: string) => string | undefined
}
