import { verifyRegistration } from '@bailiwick/approval-statement'
import { readKeyFile, signInvitation } from '@bailiwick/credentials'
import { paths } from '@bailiwick/installation'
import { sample } from '@bailiwick/standalone/sample'
import { type SoftwarePasskey, type System, softwarePasskey } from '@bailiwick/testkit'
import { answering } from './scene.ts'

export const bytesOf = (text: string) => Buffer.from(text, 'base64url')

export interface Said {
  status: number
  code?: string | undefined
  body: Record<string, never>
  headers: Headers
}

export interface Shown {
  statement: Record<string, unknown>
  statement_hash: string
  challenge: string
  lines: string[]
}

interface Offer {
  enrolment_id: string
  options: { challenge: string }
  invitation: object
}

type Headed = Record<string, string | undefined>

/** A browser with a passkey, whose headers can be set by an attacker's page or proxy. */
export class Person {
  readonly #system: Pick<System, 'url' | 'data'>
  readonly passkey: SoftwarePasskey
  cookie = ''

  constructor(system: Pick<System, 'url' | 'data'>, passkey?: SoftwarePasskey) {
    this.#system = system
    this.passkey = passkey ?? softwarePasskey({ rpId: 'localhost', origin: system.url })
  }

  async send(method: string, path: string, body?: unknown, headers: Headed = {}): Promise<Said> {
    const { url } = this.#system
    const all = { origin: url, cookie: this.cookie, 'content-type': 'application/json', ...headers }
    const sent = Object.entries(all).filter((pair): pair is [string, string] => pair[1] !== undefined && pair[1] !== '')
    const response = await answering(`${url}${path}`, {
      method,
      headers: sent,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const set = response.headers.getSetCookie()[0]?.split(';')[0]
    if (set !== undefined && response.ok) this.cookie = set
    const answer = (await response.json()) as Record<string, never> & { code?: string }
    return { status: response.status, code: answer.code, body: answer, headers: response.headers }
  }

  post(path: string, body: unknown = {}, headers: Headed = {}) {
    return this.send('POST', `/console/api/${path}`, body, headers)
  }

  /** Registers a passkey and returns it as the registry stores it, without sending it anywhere. */
  async newPasskey(passkey = this.passkey) {
    const challenge = Buffer.from(crypto.getRandomValues(new Uint8Array(32)))
    return this.#verified(passkey.register(challenge), challenge.toString('base64url'))
  }

  async #verified(response: unknown, challenge: string) {
    const made = await verifyRegistration({ response, challenge, rpId: 'localhost', origins: [this.#system.url] })
    if (!made.ok) throw new Error(made.detail)
    return { ...made.passkey, registered_at: new Date().toISOString() }
  }

  /** Becomes the first approver, with the installation's invitation. */
  async enrol(): Promise<void> {
    const { body: offered } = await this.post('enrolment/options', { approver_id: sample.owner, name: 'Olivia' })
    const { enrolment_id, options, invitation: facts } = offered as unknown as Offer
    const response = this.passkey.register(bytesOf(options.challenge))
    const { credential_id, public_key } = await this.#verified(response, options.challenge)
    const key = readKeyFile(paths(this.#system.data).keys('invitation'), 'invitation', 'invitation')
    const invitation = signInvitation({ ...facts, credential_id, public_key } as never, key)
    const { status } = await this.post('enrolment', { enrolment_id, response, invitation })
    if (status !== 200) throw new Error(`not enrolled: ${status}`)
  }

  async signIn(passkey = this.passkey): Promise<Said> {
    const { body } = await this.post('session/options')
    const { sign_in_id, options } = body as unknown as { sign_in_id: string; options: { challenge: string } }
    return this.post('session', { sign_in_id, assertion: passkey.sign(bytesOf(options.challenge)) })
  }

  async rendered(requestId: string, narrowed: object = {}): Promise<Shown> {
    const said = await this.post(`requests/${requestId}/statement`, narrowed)
    if (said.status !== 200) throw new Error(said.code)
    return said.body as never
  }

  approve(
    requestId: string,
    { statement_hash, challenge }: Pick<Shown, 'statement_hash' | 'challenge'>,
    passkey: Pick<SoftwarePasskey, 'sign'> = this.passkey,
  ) {
    return this.post(`requests/${requestId}/approve`, { statement_hash, assertion: passkey.sign(bytesOf(challenge)) })
  }
}
