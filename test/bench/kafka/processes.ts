import { makeDpopProof, type SigningKey, signCallerAssertion } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import type { InitialEntities } from '@bailiwick/installation'
import { sample, sampleKey } from '@bailiwick/standalone/sample'
import { sampleAgent } from '@bailiwick/standalone/sample-agent'
import { type Approver, enrolApprover, type Processes, type ProcessesOptions, startProcesses } from '@bailiwick/testkit'
import { Cast, type Part } from '../cast.ts'
import { invoiceCall } from '../invoice-call.ts'
import { patiently } from '../patience.ts'
import { SubAgents } from '../sub-agents.ts'
import { type Actor, type Granted, roomyAsk } from '../world.ts'

const assertionMs = 30_000
/** A shared machine may be late. */
const grantWithinMs = 120_000
/**
 * The answers that a busy machine may cause; any other answer must not happen. A second nonce is requested when Redis
 * was too late meanwhile: the instance then continues alone, with nonces of its own.
 */
const late: ReadonlySet<string | undefined> = new Set([
  'deadline_exceeded',
  'state_stale',
  'evidence_unavailable',
  'proof_nonce_required',
])
const isLate = ({ reason }: Called) => late.has(reason)

export interface Called {
  decision: boolean
  reason: string | undefined
  decisionId: string
}

/** The processes of a real system, with an approver and an agent that asks for a lot. */
export class ProcessWorld implements AsyncDisposable {
  readonly system: Processes
  readonly approver: Approver
  readonly subAgents: SubAgents
  readonly cast: Cast
  readonly #agentKey: SigningKey<'agent'>
  readonly #subject: string
  readonly #callerKey: SigningKey<'pep-caller'>
  #assertion = { text: '', until: 0 }
  readonly #nonces = new Map<string, string>()
  #proofs = 0
  #asked = 0

  private constructor(
    system: Processes,
    approver: Approver,
    { subAgents, cast }: { subAgents: SubAgents; cast: Cast },
  ) {
    this.system = system
    this.approver = approver
    this.subAgents = subAgents
    this.cast = cast
    this.#agentKey = sampleKey(system.data, 'reconciler')
    this.#subject = sampleAgent(system, 'reconciler').id
    this.#callerKey = sampleKey(system.data, 'point-caller')
  }

  static async open(options: ProcessesOptions): Promise<ProcessWorld> {
    await using started = new AsyncDisposableStack()
    const subAgents = new SubAgents()
    const cast = new Cast()
    const entities = (sample: InitialEntities) => cast.entities(subAgents.entities(sample))
    const system = started.use(await startProcesses({ entities, supervised: true, ...options }))
    const world = new ProcessWorld(system, await patiently(() => enrolApprover(system)), { subAgents, cast })
    started.move()
    return world
  }

  /** A request, its approval and a credential, for the sample agent unless another one is given. */
  async grant(part?: Part): Promise<Granted> {
    const agent = part?.agent ?? sampleAgent(this.system, 'reconciler')
    const ask = roomyAsk(++this.#asked, part?.toolServer)
    const { requestId } = await patiently(() => agent.request(ask))
    const { grant_id, status } = await patiently(() => (part?.approver ?? this.approver).approve(requestId))
    if (grant_id === undefined) throw new Error(`the request is ${status}, without a grant`)
    // Looked up by request: on a busy machine the console may answer before the issuer has acted.
    const { token } = await agent.credential({ requestId }, { wait: AbortSignal.timeout(grantWithinMs) })
    return { requestId, grantId: grant_id, token, ...(part && { actor: part }) }
  }

  async token(grantId: string): Promise<string> {
    return (
      await sampleAgent(this.system, 'reconciler').credential({ grantId }, { wait: AbortSignal.timeout(grantWithinMs) })
    ).token
  }

  async grants(count: number): Promise<Granted[]> {
    const made: Granted[] = []
    while (made.length < count) made.push(await this.grant())
    return made
  }

  /** Calls a policy-decision instance as an enforcement point does, and again with the nonce that it requests. */
  async call(url: string, token: string, actor: Actor = {}): Promise<Called> {
    const first = await this.#ask(url, token, actor)
    return first.reason === 'proof_nonce_required' ? this.#ask(url, token, actor) : first
  }

  /** As `call`; returns 1 for a denial because a busy machine was late. Throws for any other denial. */
  async allowedOrLate(url: string, token: string): Promise<0 | 1> {
    const called = await this.call(url, token)
    if (called.decision) return 0
    if (!isLate(called)) throw new Error(`denied: ${called.reason}`)
    return 1
  }

  async #ask(url: string, credential: string, actor: Actor): Promise<Called> {
    const { key = this.#agentKey, subject: id = this.#subject, toolServer } = actor
    const { action, resource, digest } = invoiceCall(toolServer)
    const htu = `${this.system.invoicesUrl}/read`
    const nonce = this.#nonces.get(url)
    const proof = makeDpopProof(
      {
        htm: 'POST',
        htu,
        jti: `bench-${process.pid}-${String(++this.#proofs).padStart(12, '0')}`,
        now: Date.now(),
        accessToken: credential,
        actionDigest: digest,
        ...(nonce === undefined ? {} : { nonce }),
      },
      key,
    )
    const observed = { credential, proof, htm: 'POST', htu, action_digest: digest }
    const subject = { type: 'agent', id }
    const response = await fetch(`${url}/access/v1/evaluation`, {
      method: 'POST',
      headers: { authorization: `Bearer ${this.#caller()}`, 'content-type': 'application/json' },
      body: JSON.stringify({ subject, action, resource, context: { bailiwick: observed } }),
    }).catch((error: unknown) => {
      throw new ServiceError('service_unreachable', url, { cause: error })
    })
    const answer = (await response.json()) as {
      decision?: boolean
      context?: { decision_id: string; reason?: string; dpop_nonce?: string }
      code?: string
    }
    if (answer.decision === undefined || answer.context === undefined)
      throw Object.assign(new Error(`no decision but ${response.status} ${answer.code}`), { code: answer.code })
    const { decision_id, reason, dpop_nonce } = answer.context
    if (dpop_nonce !== undefined) this.#nonces.set(url, dpop_nonce)
    return { decision: answer.decision, reason, decisionId: decision_id }
  }

  #caller(): string {
    if (this.#assertion.until > Date.now()) return this.#assertion.text
    const iat = Math.floor(Date.now() / 1000)
    const iss = sample.enforcementPoint
    const claims = { iss, sub: iss, aud: this.system.url, iat, exp: iat + 60, jti: `bench-${iat}` }
    this.#assertion = { text: signCallerAssertion(claims, this.#callerKey), until: Date.now() + assertionMs }
    return this.#assertion.text
  }

  /** How often a service stopped because it could no longer know what is true, and was started again. */
  get restarts(): number {
    const { processes } = this.system
    return Object.values(processes)
      .flat()
      .reduce((sum, { crashes }) => sum + crashes, 0)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.system[Symbol.asyncDispose]()
  }
}
