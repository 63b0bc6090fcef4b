import { passkeyAlgorithms, verifyRegistration } from '@bailiwick/approval-statement'
import { encodeBase64url, verifyInvitation } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { generateRegistrationOptions } from '@simplewebauthn/server'
import { Challenges } from './challenges.ts'
import type { Approval } from './context.ts'

const challengeMs = 5 * 60 * 1000
const enrolledWithinMs = 5000
const prefix = 'enr_'

const personOf = (approverId: string, name: string) => JSON.stringify([approverId, name])

/**
 * Makes the first approver of a passkey. The holder of the invitation signs, in the browser, for exactly the passkey that
 * the authenticator made; approval only passes it on, and the issuer and every reader verify it (DESIGN §3).
 */
export class Enrolment {
  readonly #approval: Approval
  readonly #challenges: Challenges

  constructor(approval: Approval) {
    this.#approval = approval
    this.#challenges = new Challenges({ lifeMs: challengeMs, clock: approval.clock, random: approval.random })
  }

  /** Creation options, and what the invitation must say besides the passkey. Throws `invitation_invalid` once it was used. */
  async options(approverId: string, name: string) {
    const { random, trust } = this.#approval
    this.#refuseIfUsed()
    const { id, challenge } = this.#challenges.make(personOf(approverId, name))
    const options = await generateRegistrationOptions({
      rpName: 'Bailiwick',
      rpID: trust.rp_id,
      userID: Uint8Array.from(random(32)),
      userName: approverId,
      userDisplayName: name,
      challenge: Uint8Array.from(challenge),
      timeout: challengeMs,
      attestationType: 'none',
      authenticatorSelection: { residentKey: 'preferred', userVerification: 'required' },
      supportedAlgorithmIDs: passkeyAlgorithms,
    })
    const { installation } = trust
    return {
      enrolment_id: `${prefix}${id}`,
      options,
      invitation: { installation, approver_id: approverId, name, groups: this.#groups() },
    }
  }

  /** Offers the passkey to the issuer and waits until it made an approver of it. Gives that approver's id. */
  async enrol(enrolmentId: string, response: unknown, invitation: string): Promise<string> {
    const { trust, keyRing, producer, projection } = this.#approval
    this.#refuseIfUsed()
    const id = enrolmentId.startsWith(prefix) ? enrolmentId.slice(prefix.length) : ''
    const challenge = this.#challenges.find(id)
    if (!challenge || !this.#challenges.use(id))
      throw new ServiceError('statement_unknown', 'the challenge was used, or is too old')
    const { rp_id: rpId, origins, installation } = trust
    const registered = await verifyRegistration({
      response,
      challenge: encodeBase64url(challenge),
      rpId,
      origins,
    })
    if (!registered.ok) throw new ServiceError(registered.code, registered.detail)
    const invited = verifyInvitation({ invitation, key: keyRing.invitation, installation })
    if (!invited.ok) throw new ServiceError('invitation_invalid', invited.detail)
    const { passkey } = registered
    const { credential_id, public_key, approver_id, name, groups } = invited.value
    if (credential_id !== passkey.credential_id || public_key !== passkey.public_key)
      throw new ServiceError('invitation_invalid', 'signed for another passkey')
    if (!this.#challenges.isAbout(id, personOf(approver_id, name)))
      throw new ServiceError('invitation_invalid', 'signed for another person')
    await producer.publishOne('approvals.v1', {
      type: 'enrolment.offered',
      subject: enrolmentId,
      version: 1,
      data: { enrolment_id: enrolmentId, approver_id, name, groups, ...passkey, invitation },
    })
    const { registry } = projection.ledger
    const decided = () => (registry.view().enrolled ? (registry.passkey(credential_id)?.approver.id ?? '') : undefined)
    const approver = await projection.until(decided, enrolledWithinMs)
    if (approver === undefined) throw new ServiceError('deadline_exceeded', 'offered, and not yet enrolled')
    if (approver !== approver_id) throw new ServiceError('invitation_invalid', 'somebody else was quicker')
    return approver
  }

  #refuseIfUsed(): void {
    if (this.#approval.projection.ledger.registry.view().enrolled)
      throw new ServiceError('invitation_invalid', 'it was used: sign in')
  }

  /** The groups that rules name: without them the first approver could approve nothing, nor enrol anybody who could. */
  #groups(): string[] {
    const named = this.#approval.projection.ledger.registry.rules.map(({ approvers }) => approvers.group)
    return [...new Set(named)].sort().slice(0, 32)
  }
}
