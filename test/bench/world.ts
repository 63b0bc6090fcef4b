import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import type { EnforcementPoint } from '@bailiwick/contracts'
import { type Action, actionDigest, makeDpopProof, type SigningKey } from '@bailiwick/credentials'
import { sample, sampleAuthority, sampleKey } from '@bailiwick/standalone/sample'
import { sampleAgent } from '@bailiwick/standalone/sample-agent'
import { type Approver, enrolApprover, type System, type SystemOptions, startSystem } from '@bailiwick/testkit'
import { patiently } from './patience.ts'
import { SubAgents } from './sub-agents.ts'

export interface Granted {
  requestId: string
  grantId: string
  token: string
}

export type Evaluation = Parameters<System['services']['policyDecision']['decide']>[1]

const action = { name: 'tools/call', properties: { invoice: 'INV-1' } }
const resource = { type: 'tool', id: `${sample.toolServer}/read` }
const digest = actionDigest({ ...action, resource } satisfies Action)

/** A running system with an approver and an agent that asks for a lot. */
export class World implements AsyncDisposable {
  readonly system: System
  readonly approver: Approver
  readonly point: EnforcementPoint
  readonly subAgents: SubAgents
  readonly #agentKey: SigningKey<'agent'>
  #proofs = 0

  private constructor(system: System, approver: Approver, point: EnforcementPoint, subAgents: SubAgents) {
    this.system = system
    this.approver = approver
    this.point = point
    this.subAgents = subAgents
    this.#agentKey = sampleKey(system.data, 'reconciler')
  }

  static async open(dir: string, options: Omit<SystemOptions, 'data'> = {}): Promise<World> {
    const subAgents = new SubAgents()
    const { entities } = subAgents
    const system = await startSystem({ entities, ...options, data: mkdtempSync(join(dir, 'system-')) })
    const approver = await patiently(() => enrolApprover(system))
    const { registry } = system.services.policyDecision.pdp.projection.ledger
    const point = registry.get('enforcement-point', sample.enforcementPoint)
    if (!point) throw new Error('the sample has no enforcement point')
    return new World(system, approver, point, subAgents)
  }

  agent() {
    return sampleAgent(this.system.host, 'reconciler')
  }

  /** What the agent asks for: as the sample, with room for a bench. */
  ask() {
    const budget = { ...sampleAuthority.budget, calls: 1_000_000 }
    const authority = { ...sampleAuthority, budget, max_depth: 1, max_children: 1000 }
    return { authority, mode: 'window', expiresInSeconds: 8 * 3600 } as const
  }

  /** A request, its approval and a credential. */
  async grant(agent = this.agent()): Promise<Granted> {
    const { requestId } = await patiently(() => agent.request(this.ask()))
    const answer = await patiently(() => this.approver.approve(requestId))
    if (answer.grant_id === undefined) throw new Error(`the request is ${answer.status}, without a grant`)
    const grant = { grantId: answer.grant_id }
    const { token } = await patiently(() => agent.credential(grant))
    return { requestId, grantId: answer.grant_id, token }
  }

  /** A call as an enforcement point puts it, parsed, with a fresh proof by the agent, or by the sub-agent that has this key. */
  evaluation({ token }: Granted, key = this.#agentKey): Evaluation {
    const { host, services, invoicesUrl } = this.system
    const htu = `${invoicesUrl}/read`
    // The nonce: proofs that are made within seconds of a start count only with one.
    const proof = makeDpopProof(
      {
        htm: 'POST',
        htu,
        jti: `bench-${String(++this.#proofs).padStart(12, '0')}`,
        now: host.clock.now(),
        accessToken: token,
        actionDigest: digest,
        nonce: services.policyDecision.pdp.proofs.nonce(),
      },
      key,
    )
    return {
      subject: { type: 'agent', id: this.agentId },
      action,
      resource,
      observed: { credential: token, proof, htm: 'POST', htu, action_digest: digest },
      digest,
      withApproval: false,
    }
  }

  get agentId(): string {
    return this.agent().id
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.system[Symbol.asyncDispose]()
  }
}
