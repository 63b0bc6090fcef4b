import { passkeyAlgorithms, type RegisteredPasskey, verifyRegistration } from '@bailiwick/approval-statement'
import type { Approver } from '@bailiwick/contracts'
import { encodeBase64url } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { generateRegistrationOptions } from '@simplewebauthn/server'
import type { Approval } from '../context.ts'
import { Challenges } from './challenges.ts'

const challengeMs = 5 * 60 * 1000
const prefix = 'enr_'

/** The person who gets the passkey, and the word for it. A registration that was begun for one is never finished for another. */
export interface Registrant {
  /** Names what lets this person register a passkey. Names of different kinds never collide. */
  by: string
  id: string
  name: string
}

const aboutOf = ({ by, id, name }: Registrant) => JSON.stringify([by, id, name])

/** Creates passkeys, before they are used for anything. Each challenge is good for one registration within five minutes. */
export class Registrations {
  readonly #approval: Approval
  readonly #challenges: Challenges

  constructor(approval: Approval) {
    this.#approval = approval
    const { clock, random } = approval
    this.#challenges = new Challenges({ lifeMs: challengeMs, clock, random })
  }

  /** Creation options. `has`: the person's passkeys, which the authenticator need not create again. */
  async begin(registrant: Registrant, has: Approver['credentials'] = []) {
    const { random, trust } = this.#approval
    const { id, challenge } = this.#challenges.make(aboutOf(registrant))
    const options = await generateRegistrationOptions({
      rpName: 'Bailiwick',
      rpID: trust.rp_id,
      userID: Uint8Array.from(random(32)),
      userName: registrant.id,
      userDisplayName: registrant.name,
      challenge: Uint8Array.from(challenge),
      timeout: challengeMs,
      attestationType: 'none',
      authenticatorSelection: { residentKey: 'preferred', userVerification: 'required' },
      supportedAlgorithmIDs: passkeyAlgorithms,
      excludeCredentials: has.map(({ credential_id }) => ({ id: credential_id })),
    })
    return { enrolment_id: `${prefix}${id}`, options }
  }

  /** The new passkey, once (V10). Throws `statement_unknown`, `registration_invalid`. */
  async finish(enrolmentId: string, response: unknown): Promise<RegisteredPasskey> {
    const id = idOf(enrolmentId)
    const challenge = this.#challenges.find(id)
    if (!challenge || !this.#challenges.use(id, 'registrations'))
      throw new ServiceError('statement_unknown', 'the challenge was used, or is too old')
    const { rp_id: rpId, origins } = this.#approval.trust
    const registered = await verifyRegistration({ response, challenge: encodeBase64url(challenge), rpId, origins })
    if (!registered.ok) throw new ServiceError(registered.code, registered.detail)
    return registered.passkey
  }

  /** Throws `invitation_invalid` for a registration that was begun for another person, or on another word. */
  mustBeOf(enrolmentId: string, registrant: Registrant): void {
    if (!this.#challenges.isAbout(idOf(enrolmentId), aboutOf(registrant)))
      throw new ServiceError('invitation_invalid', 'signed for another person')
  }
}

const idOf = (enrolmentId: string) => (enrolmentId.startsWith(prefix) ? enrolmentId.slice(prefix.length) : '')

/** The passkey in the form that the registry keeps. */
export function credentialOf(passkey: RegisteredPasskey, now: number): Approver['credentials'][number] {
  return { ...passkey, registered_at: new Date(now).toISOString() }
}
