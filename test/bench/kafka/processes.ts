import { type Action, actionDigest, makeDpopProof, type SigningKey, signCallerAssertion } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { sample, sampleAuthority, sampleKey } from '@bailiwick/standalone/sample'
import { sampleAgent } from '@bailiwick/standalone/sample-agent'
import { type Approver, enrolApprover, type Processes, type ProcessesOptions, startProcesses } from '@bailiwick/testkit'
import { patiently } from '../patience.ts'
import { SubAgents } from '../sub-agents.ts'
import type { Granted } from '../world.ts'

const action = { name: 'tools/call', properties: { invoice: 'INV-1' } }
const resource = { type: 'tool', id: `${sample.toolServer}/read` }
const digest = actionDigest({ ...action, resource } satisfies Action)
const assertionMs = 30_000
/** A machine that others use too is late. */
const grantWithinMs = 120_000
/**
 * What a busy machine makes of a decision; anything else must not happen. A nonce is wanted a second time when Redis was too
 * late meanwhile: an instance then goes on alone, with nonces of its own.
 */
const late: ReadonlySet<string | undefined> = new Set([
  'deadline_exceeded',
  'state_stale',
  'evidence_unavailable',
  'proof_nonce_required',
])
export const isLate = ({ reason }: Called) => late.has(reason)

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
  readonly #agentKey: SigningKey<'agent'>
  readonly #callerKey: SigningKey<'pep-caller'>
  #assertion = { text: '', until: 0 }
  readonly #nonces = new Map<string, string>()
  #proofs = 0

  private constructor(system: Processes, approver: Approver, subAgents: SubAgents) {
    this.system = system
    this.approver = approver
    this.subAgents = subAgents
    this.#agentKey = sampleKey(system.data, 'reconciler')
    this.#callerKey = sampleKey(system.data, 'point-caller')
  }

  static async open(options: ProcessesOptions): Promise<ProcessWorld> {
    await using started = new AsyncDisposableStack()
    const subAgents = new SubAgents()
    const system = started.use(await startProcesses({ entities: subAgents.entities, supervised: true, ...options }))
    const world = new ProcessWorld(system, await patiently(() => enrolApprover(system)), subAgents)
    started.move()
    return world
  }

  /** A request, its approval and a credential. */
  async grant(): Promise<Granted> {
    const agent = sampleAgent(this.system, 'reconciler')
    const budget = { ...sampleAuthority.budget, calls: 10_000_000 }
    const authority = { ...sampleAuthority, budget, max_depth: 1, max_children: 1000 }
    const ask = { authority, mode: 'window', expiresInSeconds: 8 * 3600 } as const
    const { requestId } = await patiently(() => agent.request(ask))
    const { grant_id, status } = await patiently(() => this.approver.approve(requestId))
    if (grant_id === undefined) throw new Error(`the request is ${status}, without a grant`)
    // Asked by request: on a machine that is busy the console may answer before the issuer has acted.
    const { token } = await agent.credential({ requestId }, { wait: AbortSignal.timeout(grantWithinMs) })
    return { requestId, grantId: grant_id, token }
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

  /** Asks a policy-decision instance as an enforcement point does, and again with the nonce that it wants. `key`: of who acts. */
  async call(url: string, token: string, key = this.#agentKey): Promise<Called> {
    const first = await this.#ask(url, token, key)
    return first.reason === 'proof_nonce_required' ? this.#ask(url, token, key) : first
  }

  /** As `call`; 1 when it was denied for being late on a busy machine. Throws for any other denial. */
  async allowedOrLate(url: string, token: string): Promise<0 | 1> {
    const called = await this.call(url, token)
    if (called.decision) return 0
    if (!isLate(called)) throw new Error(`denied: ${called.reason}`)
    return 1
  }

  async #ask(url: string, credential: string, key: SigningKey<'agent'>): Promise<Called> {
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
    const subject = { type: 'agent', id: `${sampleAgent(this.system, 'reconciler').id}` }
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

  /** How often a service stopped, since it could not know any more what is true, and was started again. */
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
