import { signInvitation } from '@bailiwick/credentials'
import { origin, type World } from './approval.fixture.ts'
import { aPasskey, type Said, type TestPasskey } from './passkey.fixture.ts'

type Json = Record<string, unknown>

/** A person at the console: a browser with its session cookie, and a passkey. */
export interface Person {
  passkey: TestPasskey
  post(path: string, body?: Json, headers?: Record<string, string>): Promise<{ status: number; body: Json }>
  get(path: string): Promise<{ status: number; body: Json }>
  enrol(id?: string, over?: Json): Promise<{ status: number; body: Json }>
  signIn(said?: Partial<Said>): Promise<{ status: number; body: Json }>
  /** Requests the statement; returns it with its challenge. */
  statement(requestId: string, narrowed?: Json): Promise<{ status: number; body: Json }>
  /** Renders, signs and sends the answer. */
  approve(requestId: string, narrowed?: Json): Promise<{ status: number; body: Json }>
  cookie: string | undefined
}

export function aPerson(
  { http, invitation, trust }: World,
  passkey: TestPasskey = aPasskey({ rpId: trust.rp_id, origin }),
): Person {
  const person: Person = {
    passkey,
    cookie: undefined,
    async post(path, body = {}, headers = {}) {
      const response = await http.inject({
        method: 'POST',
        url: `/console/api${path}`,
        payload: body,
        headers: { origin, ...(person.cookie === undefined ? {} : { cookie: person.cookie }), ...headers },
      })
      const set = response.headers['set-cookie']
      if (typeof set === 'string') person.cookie = set.split(';')[0]
      return { status: response.statusCode, body: response.json() }
    },
    async get(path) {
      const headers = person.cookie === undefined ? {} : { cookie: person.cookie }
      const response = await http.inject({ method: 'GET', url: `/console/api${path}`, headers })
      return { status: response.statusCode, body: response.json() }
    },
    async enrol(id = 'olga', over = {}) {
      const offered = await person.post('/enrolment/options', { approver_id: id, name: 'Olga' })
      if (offered.status !== 200) return offered
      const {
        options,
        invitation: facts,
        enrolment_id,
      } = offered.body as never as {
        options: { challenge: string }
        invitation: { installation: string; approver_id: string; name: string; groups: string[] }
        enrolment_id: string
      }
      const response = passkey.register(options.challenge)
      const made = { credential_id: passkey.id, public_key: passkey.publicKey }
      const jws = signInvitation({ ...facts, ...made, ...over }, invitation)
      return person.post('/enrolment', { enrolment_id, response, invitation: jws })
    },
    async signIn(said) {
      const { body } = await person.post('/session/options')
      const { options, sign_in_id } = body as never as { options: { challenge: string }; sign_in_id: string }
      return person.post('/session', { sign_in_id, assertion: passkey.sign(options.challenge, said) })
    },
    statement: (requestId, narrowed = {}) => person.post(`/requests/${requestId}/statement`, narrowed),
    async approve(requestId, narrowed = {}) {
      const rendered = await person.statement(requestId, narrowed)
      if (rendered.status !== 200) return rendered
      const { challenge, statement_hash } = rendered.body as never as { challenge: string; statement_hash: string }
      const assertion = passkey.sign(challenge)
      return person.post(`/requests/${requestId}/approve`, { statement_hash, assertion })
    },
  }
  return person
}
