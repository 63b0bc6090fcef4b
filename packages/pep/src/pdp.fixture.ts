import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  type Action,
  generateKey,
  jwkSet,
  type Outcome,
  type Permit,
  publicKeyOf,
  type SigningKey,
  signPermit,
  signServiceKeyCertificate,
  signTrust,
  type Trust,
  verifyCallerAssertion,
  verifyOutcome,
} from '@bailiwick/credentials'
import { systemClock, systemRandom } from '@bailiwick/kit'
import { type EnforcementPoint, type EnforcementPointOptions, openEnforcementPoint } from './enforcement-point.ts'
import { memoryOutcomeStore } from './outcome-store.ts'

const installation = 'ins_0123456789abcdef'
const root = generateKey('root')

type Jwk = Trust['root']['jwk']
export const trust = signTrust(
  {
    v: 1,
    installation,
    root: { jwk: { ...root.publicJwk } as Jwk },
    log: { vkey: 'localhost/log+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW' },
    rp_id: 'localhost',
    origins: ['http://localhost:8420'],
    single_operator: true,
    invitation: { jwk: { ...generateKey('invitation').publicJwk } as Jwk },
    public_url: 'http://localhost:8420',
    created_at: '2026-01-01T00:00:00.000Z',
  },
  root,
)

export const pointId = 'invoices-api'
export const callerKey = generateKey('pep-caller')
export const outcomeKey = generateKey('outcome')

/** A certificate as the root would issue it for a permit key; parts of it may be wrong. */
export function certify(
  key: SigningKey,
  part: Partial<Parameters<typeof signServiceKeyCertificate>[0]> = {},
  by = root,
): string {
  return signServiceKeyCertificate(
    {
      installation,
      kid: key.kid,
      jwk: { ...key.publicJwk } as Jwk,
      purpose: 'permit',
      service: 'policy-decision',
      topics: [],
      not_before: '2026-01-01T00:00:00.000Z',
      not_after: '2046-01-01T00:00:00.000Z',
      ...part,
    },
    by,
  )
}

export interface Evaluation {
  subject: { type: string; id: string }
  action: { name: string; properties: Record<string, unknown> }
  resource: { type: string; id: string }
  context: {
    supported_obligations?: string[]
    bailiwick: { credential?: string; proof?: string; htm: string; htu: string; action_digest: string; call_id: string }
  }
}

type Reply = { status?: number; body?: unknown; text?: string; headers?: Record<string, string>; hang?: boolean }

/** A PDP with real keys and certificates, on a real port, that answers as a test tells it to. */
export class FakePdp implements AsyncDisposable {
  url = ''
  readonly permitKey = generateKey('permit')
  readonly evaluations: Evaluation[] = []
  readonly outcomes: Outcome[] = []
  /** The same outcomes, as received. */
  readonly signed: string[] = []
  now: () => number = systemClock.now
  /** As stated by the newest caller. */
  #instance: string | undefined
  /** The PDP's answer; by default ALLOW with a correct permit. */
  answer: (evaluation: Evaluation) => Reply | Promise<Reply> = (evaluation) => this.allow(evaluation)
  jwks: () => unknown = () => ({
    keys: [{ ...jwkSet([publicKeyOf(this.permitKey)]).keys[0], certificate: certify(this.permitKey) }],
  })
  outcome: (outcome: Outcome, jws: string) => Reply = () => ({ status: 204 })
  /** The answer about the calls that go on. By default all of them stand. */
  openCalls: (decisions: readonly string[]) => Reply | Promise<Reply> = () => ({ body: { over: [], unknown: [] } })
  /** Whether the enforcement point is registered. */
  knows = true
  /** The answer to a list as a whole. Without it, each item gets its own answer. */
  list: (outcomes: readonly string[]) => Promise<Reply | undefined> | Reply | undefined = () => undefined
  /** Awaited before a single outcome is answered. */
  single: () => Promise<void> | void = () => undefined
  /** The number of outcomes in each list. */
  readonly lists: number[] = []
  #count = 0
  readonly #server = createServer((request, response) => void this.#serve(request, response))

  static async start(): Promise<FakePdp> {
    const pdp = new FakePdp()
    await new Promise<void>((resolve) => pdp.#server.listen(0, '127.0.0.1', resolve))
    pdp.url = `http://127.0.0.1:${(pdp.#server.address() as AddressInfo).port}`
    return pdp
  }

  permit(evaluation: Evaluation, part: Partial<Permit> = {}, key: SigningKey<'permit'> = this.permitKey): string {
    const iat = Math.floor(this.now() / 1000)
    return signPermit(
      {
        iss: this.url,
        aud: pointId,
        ...(this.#instance === undefined ? {} : { instance: this.#instance }),
        jti: `dec_${String(++this.#count).padStart(20, '0')}`,
        iat,
        exp: iat + 5,
        action_digest: evaluation.context.bailiwick.action_digest,
        grant: 'grt_0123456789abcdefghij',
        ...part,
      },
      key,
    )
  }

  allow(evaluation: Evaluation, part: Partial<Permit> = {}, key?: SigningKey<'permit'>): Reply {
    const permit = this.permit(evaluation, part, key)
    const { jti, obligations } = JSON.parse(Buffer.from(permit.split('.')[1] ?? '', 'base64url').toString())
    const context = { decision_id: jti, permit, outcome_due: '2026-01-01T00:00:00.000Z' }
    return { body: { decision: true, context: obligations === undefined ? context : { ...context, obligations } } }
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = ''
    for await (const chunk of request) text += chunk
    const reply: Reply = await this.#replyTo(request, text).catch((error) => ({ status: 500, text: String(error) }))
    if (reply.hang) return
    response.writeHead(reply.status ?? 200, { 'content-type': 'application/json', ...reply.headers })
    response.end(reply.text ?? (reply.body === undefined ? '' : JSON.stringify(reply.body)))
  }

  async #replyTo(request: IncomingMessage, text: string): Promise<Reply> {
    if (request.url === '/access/v1/jwks') return { body: this.jwks() }
    const caller = verifyCallerAssertion({
      assertion: request.headers.authorization?.replace('Bearer ', '') ?? '',
      key: publicKeyOf(callerKey),
      enforcementPoint: pointId,
      audience: this.url,
      now: this.now(),
      leewayMs: 0,
    })
    if (!caller.ok || !this.knows) return { status: 401, body: { code: 'caller_unauthenticated' } }
    this.#instance = caller.value.instance
    const body = JSON.parse(text)
    if (request.url === '/v1/outcomes') {
      if (body.outcomes) return this.#takeAll(body.outcomes)
      await this.single()
      return this.#take(body.outcome)
    }
    if (request.url === '/v1/open-calls') {
      const reply = await this.openCalls(body.decisions)
      // A real one would wait until something changes.
      await new Promise((resolve) => setTimeout(resolve, 10))
      return reply
    }
    this.evaluations.push(body)
    return this.answer(body)
  }

  async #takeAll(outcomes: readonly string[]): Promise<Reply> {
    this.lists.push(outcomes.length)
    const whole = await this.list(outcomes)
    if (whole !== undefined) return whole
    const results = outcomes.map((jws) => this.#take(jws)).map(({ status, body }) => ({ ...Object(body), status }))
    return { status: 200, body: { results } }
  }

  #take(jws: string): Reply {
    const outcome = verifyOutcome({
      outcome: jws,
      key: publicKeyOf(outcomeKey),
      installation,
      enforcementPoint: pointId,
    })
    if (!outcome.ok) return { status: 401, body: { code: outcome.code } }
    const reply = this.outcome(outcome.value, jws)
    if (reply.status === 204) {
      this.outcomes.push(outcome.value)
      this.signed.push(jws)
    }
    return reply
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

export const anOutcome: Outcome = {
  installation,
  enforcement_point: pointId,
  sequence: 1,
  call_id: 'call_0123456789abcdef',
  decision_id: `dec_${'7'.repeat(20)}`,
  action_digest: 'A'.repeat(43),
  status: 'succeeded',
  at: '2026-01-01T00:00:00.000Z',
}

/** An enforcement point of that PDP. */
export function aPoint(pdp: FakePdp, options: Partial<EnforcementPointOptions> = {}): Promise<EnforcementPoint> {
  return openEnforcementPoint({
    id: pointId,
    trust,
    callerKey,
    outcomeKey,
    pdpUrl: pdp.url,
    store: memoryOutcomeStore(),
    now: systemClock.now,
    random: systemRandom,
    timeoutMs: 5000,
    maxRetryPauseMs: 20,
    maxSilenceMs: 60_000, // a busy machine is not silence
    ...options,
  })
}

export function anAction(amount = '10.00'): Action {
  return {
    name: 'tools/call',
    properties: { amount, currency: 'EUR' },
    resource: { type: 'tool', id: 'invoices/adjust' },
  }
}

export function aCall(action: Action | (() => Action) = anAction()) {
  return { credential: 'a.b.c', proof: 'd.e.f', htm: 'POST', htu: 'https://api.example/adjust', action }
}

/** The number that a signed outcome has among those of its instance. */
export const numberOf = (jws: string): number =>
  JSON.parse(Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString()).sequence
