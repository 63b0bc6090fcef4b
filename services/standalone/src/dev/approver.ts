import { setTimeout as sleep } from 'node:timers/promises'
import { verifyRegistration } from '@bailiwick/approval-statement'
import { readKeyFile, type SigningKey, signInvitation } from '@bailiwick/credentials'
import { paths } from '@bailiwick/installation'
import type { AskedFor } from './answer-rules.ts'
import { type SoftwarePasskey, softwarePasskey } from './software-passkey.ts'

/** The members that the console lets a person narrow. */
export interface Narrowed {
  authority?: unknown
  not_after?: string
  /** For a step-up: approve this action only, although the task lapsed. */
  effect?: 'action'
}

/** A new person, as the inviting approver describes them. */
export interface Invitee {
  approver_id: string
  name: string
  groups: string[]
}

/** A person at the console, with a software passkey: what a browser does, over the same HTTP. */
export interface Approver {
  id: string
  /** For attacks: signs any statement. */
  passkey: SoftwarePasskey
  /**
   * Makes an invitation link, with which a person registers a passkey. Returns the change request, and the person, who
   * cannot sign in yet.
   */
  invite(person: Invitee): Promise<{ requestId: string; invited: Approver }>
  /** What waits, and the grants, as `/console/api/state` has them. */
  state(): Promise<ConsoleState>
  /** Any other path that the console reads. */
  get<T>(path: string): Promise<T>
  /** Renders the statement, signs it and submits it. */
  approve(requestId: string, narrowed?: Narrowed): Promise<{ grant_id?: string; statement: unknown; status: string }>
  deny(requestId: string, reason?: string): Promise<void>
  /** Resolves when the revocation is acknowledged, which means that it is durable and counts. */
  withdraw(requestId: string, reason?: string): Promise<{ revoked_sequence?: number; acknowledged_at?: string }>
  /** `meanwhile` runs while the person looks for the key, between the challenge and the signature. */
  signIn(meanwhile?: () => Promise<unknown>): Promise<void>
}

export interface ConsoleState {
  requests: ({ id: string } & AskedFor)[]
  grants: { id: string; request_id: string; state: string }[]
  changes: { id: string }[]
}

interface EnrolmentOffer {
  enrolment_id: string
  options: { challenge: string; rp: { id: string } }
  invitation: { installation: string; approver_id: string; name: string; groups: string[] }
}
interface Rendered {
  statement: unknown
  statement_hash: string
  challenge: string
}
interface SignInOffer {
  sign_in_id: string
  options: { challenge: string }
}

/** Enrols the first approver with the installation's invitation, and signs in. */
export async function enrolApprover(
  { url, data }: { url: string; data: string },
  person = { id: 'owner', name: 'Olivia Owner' },
  passkey = softwarePasskey({ rpId: new URL(url).hostname, origin: url }),
): Promise<Approver> {
  const browser = new Browser(url)
  const offered = await browser.post<EnrolmentOffer>('/console/api/enrolment/options', {
    approver_id: person.id,
    name: person.name,
  })
  const { made, response } = await registered(passkey, offered, url)
  const key = readKeyFile(paths(data).keys('invitation'), 'invitation', 'invitation')
  const invitation = signInvitation({ ...offered.invitation, ...made }, key)
  await browser.post('/console/api/enrolment', { enrolment_id: offered.enrolment_id, response, invitation })
  return atConsole(person.id, passkey, browser)
}

/** Makes a new passkey for the person of a recovery, whose address holds the recovery's key. Throws the console's refusal. */
export async function recoverApprover(
  { url }: { url: string },
  { id, key }: { id: string; key: SigningKey<'invitation'> },
): Promise<Approver> {
  const passkey = softwarePasskey({ rpId: new URL(url).hostname, origin: url })
  const browser = new Browser(url)
  const offered = await browser.post<EnrolmentOffer>('/console/api/enrolment/options', { recovery: id })
  const { made, response } = await registered(passkey, offered, url)
  const invitation = signInvitation({ ...offered.invitation, ...made }, key)
  await browser.post('/console/api/enrolment', {
    enrolment_id: offered.enrolment_id,
    response,
    invitation,
    recovery: id,
  })
  return atConsole(offered.invitation.approver_id, passkey, browser)
}

/** A new passkey, with the members that an invitation needs. */
async function registered(passkey: SoftwarePasskey, { options: { challenge, rp } }: EnrolmentOffer, url: string) {
  const response = passkey.register(challengeOf(challenge))
  const made = await verifyRegistration({ response, challenge, rpId: rp.id, origins: [url] })
  if (!made.ok) throw new Error(`the software passkey does not register: ${made.detail}`)
  const { credential_id, public_key } = made.passkey
  return { response, made: { credential_id, public_key } }
}

function atConsole(id: string, passkey: SoftwarePasskey, browser: Browser): Approver {
  return {
    id,
    passkey,
    async invite(person) {
      const { code } = await browser.post<{ code: string }>('/console/api/invitations', person)
      const theirs = browser.another()
      const key = softwarePasskey({ rpId: new URL(theirs.origin).hostname, origin: theirs.origin })
      const offered = await theirs.post<EnrolmentOffer>('/console/api/enrolment/options', { code })
      const response = key.register(challengeOf(offered.options.challenge))
      const { enrolment_id } = offered
      const { request_id } = await theirs.post<{ request_id: string }>('/console/api/enrolment', {
        enrolment_id,
        response,
        code,
      })
      return { requestId: request_id, invited: atConsole(person.approver_id, key, theirs) }
    },
    state: () => browser.get('/console/api/state'),
    get: (path) => browser.get(path),
    async approve(requestId, narrowed = {}) {
      const rendered = await browser.post<Rendered>(`/console/api/requests/${requestId}/statement`, narrowed)
      const assertion = passkey.sign(challengeOf(rendered.challenge))
      const { statement_hash } = rendered
      const answer = await browser.post<{ grant_id?: string; status: string }>(
        `/console/api/requests/${requestId}/approve`,
        { statement_hash, assertion },
      )
      return { ...answer, statement: rendered.statement }
    },
    async deny(requestId, reason) {
      await browser.post(`/console/api/requests/${requestId}/deny`, reason === undefined ? {} : { reason })
    },
    withdraw: (requestId, reason) =>
      browser.post(`/console/api/requests/${requestId}/withdraw`, reason === undefined ? {} : { reason }),
    async signIn(meanwhile) {
      const asked = await browser.post<SignInOffer>('/console/api/session/options', {})
      await meanwhile?.()
      const assertion = passkey.sign(challengeOf(asked.options.challenge))
      await browser.post('/console/api/session', { sign_in_id: asked.sign_in_id, assertion })
    },
  }
}

const challengeOf = (text: string) => Buffer.from(text, 'base64url')

interface Exchange<T> {
  response: Response
  answer: T & { title?: string; detail?: string; code?: string }
}

/** A cookie jar, and the headers of a page of this origin. Answers that are problem documents are thrown, with their code. */
class Browser {
  readonly origin: string
  #cookie = ''

  constructor(origin: string) {
    this.origin = origin
  }

  /** A jar for another person at the same console. */
  another(): Browser {
    return new Browser(this.origin)
  }

  get<T>(path: string): Promise<T> {
    return this.#send<T>(path, {})
  }

  post<T>(path: string, body: unknown): Promise<T> {
    return this.#send<T>(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', origin: this.origin },
      body: JSON.stringify(body),
    })
  }

  async #send<T>(path: string, init: RequestInit): Promise<T> {
    const headers = new Headers(init.headers)
    if (this.#cookie !== '') headers.set('cookie', this.#cookie)
    const { response, answer } = await this.#whoActs<T>(path, { ...init, headers })
    this.#cookie = response.headers.getSetCookie()[0]?.split(';')[0] ?? this.#cookie
    if (!response.ok)
      throw Object.assign(new Error(`${path}: ${answer.title} (${answer.detail ?? ''})`), { code: answer.code })
    return answer
  }

  /** A standby refuses without an effect: the person tries again while another instance takes over. */
  async #whoActs<T>(path: string, init: RequestInit): Promise<Exchange<T>> {
    for (let tries = 1; ; tries++) {
      const exchange = await this.#exchange<T>(path, init)
      if (exchange.answer.code !== 'service_standby' || tries === 240) return exchange
      await sleep(250)
    }
  }

  /** A broken connection is reported as by all our clients: whether the request was done is unknown. */
  async #exchange<T>(path: string, init: RequestInit): Promise<Exchange<T>> {
    try {
      const response = await fetch(`${this.origin}${path}`, { ...init, signal: AbortSignal.timeout(30_000) })
      return { response, answer: (await response.json()) as Exchange<T>['answer'] }
    } catch (cause) {
      throw Object.assign(new Error(`${path}: no answer`, { cause }), { code: 'service_unreachable' })
    }
  }
}
