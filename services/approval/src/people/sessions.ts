import { createHash } from 'node:crypto'
import type { Approver, Assertion } from '@bailiwick/contracts'
import { encodeBase64url, sha256 } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { generateAuthenticationOptions } from '@simplewebauthn/server'
import type { Approval } from '../context.ts'
import { Transient } from '../transient.ts'
import { Challenges } from './challenges.ts'
import { whoSigned } from './passkey.ts'

export const sessionSeconds = 1800
const challengeMs = 5 * 60 * 1000

/** A person, by the passkey that was just proved. */
export interface Enrolled {
  approverId: string
  credentialId: string
}

export interface Session {
  /** Identifies the session, but cannot open it. */
  id: string
  me: Approver
}

/**
 * Sessions at the console: a random cookie, known here by its hash, in memory, for 30 minutes. A session lets a person look, and say no.
 * Each yes takes its own passkey signature.
 */
export class Sessions {
  readonly #approval: Approval
  readonly #sessions: Transient<Enrolled>
  readonly #challenges: Challenges
  readonly #nobodysKey: Uint8Array

  constructor(approval: Approval) {
    this.#approval = approval
    const { clock } = approval
    this.#sessions = new Transient({ lifeMs: sessionSeconds * 1000, max: 10_000, clock })
    this.#challenges = new Challenges({ lifeMs: challengeMs, clock, random: approval.random })
    this.#nobodysKey = approval.random(32)
  }

  /** Begins a sign-in. `approverId`, if given, names the person whose passkeys to list, for an authenticator that keeps no list. */
  async challenge(approverId: string | undefined) {
    const { trust } = this.#approval
    const { id: signInId, challenge } = this.#challenges.make('sign-in')
    const options = await generateAuthenticationOptions({
      rpID: trust.rp_id,
      challenge: Uint8Array.from(challenge),
      userVerification: 'required',
      timeout: challengeMs,
      allowCredentials: approverId === undefined ? [] : this.#passkeysOf(approverId).map((id) => ({ id })),
    })
    return { sign_in_id: signInId, options }
  }

  /**
   * Credential ids by name. For an unknown name it returns as many and as long ones as an approver has, the same each time while this
   * process runs: a caller that tries names must not learn which are approvers' (WebAuthn Level 3 §14.6.2).
   */
  #passkeysOf(approverId: string): string[] {
    const { registry } = this.#approval.projection.ledger
    const me = registry.get('approver', approverId)
    if (me) return me.credentials.map(({ credential_id }) => credential_id)
    const made = (about: string, outputLength: number) =>
      createHash('shake256', { outputLength }).update(this.#nobodysKey).update(`${about} ${approverId}`).digest()
    const like = registry.approvers[made('like', 4).readUInt32BE() % registry.approvers.length]
    return (like?.credentials ?? []).map(({ credential_id }, n) =>
      encodeBase64url(made(`passkey ${n}`, Buffer.from(credential_id, 'base64url').length)),
    )
  }

  /** Signs in with a signature over the challenge, which counts once. Returns the cookie's value. */
  async signIn(signInId: string, assertion: Assertion): Promise<string> {
    const challenge = this.#challenges.find(signInId)
    if (challenge === undefined) throw unknownChallenge()
    const me = await whoSigned(this.#approval, encodeBase64url(challenge), assertion)
    if (!this.#challenges.use(signInId, me.id)) throw unknownChallenge()
    return this.open({ approverId: me.id, credentialId: assertion.credential_id })
  }

  /** Opens a session for a person who has just proved a passkey. */
  open(enrolled: Enrolled): string {
    const cookie = encodeBase64url(this.#approval.random(32))
    this.#sessions.put(sha256(cookie), enrolled, enrolled.approverId)
    return cookie
  }

  /** Throws `caller_unauthenticated`, also if the person is no longer enrolled or the passkey of the sign-in was retired. */
  find(cookie: string | undefined): Session {
    const id = sha256(cookie ?? '')
    const session = cookie === undefined ? undefined : this.#sessions.get(id)
    const me = session && this.#approval.projection.ledger.registry.get('approver', session.approverId)
    if (!me?.credentials.some(({ credential_id }) => credential_id === session?.credentialId))
      throw new ServiceError('caller_unauthenticated', 'sign in')
    return { id, me }
  }

  isOpen(cookie: string): boolean {
    return this.#sessions.get(sha256(cookie)) !== undefined
  }

  end(cookie: string | undefined): void {
    if (cookie !== undefined) this.#sessions.delete(sha256(cookie))
  }
}

const unknownChallenge = () => new ServiceError('statement_unknown', 'the challenge was used, or is too old')
