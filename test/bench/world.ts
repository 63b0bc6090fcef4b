import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import type { EnforcementPoint } from '@bailiwick/contracts'
import { makeDpopProof, type SigningKey } from '@bailiwick/credentials'
import type { InitialEntities } from '@bailiwick/installation'
import { sample, sampleAuthority, sampleKey } from '@bailiwick/standalone/sample'
import { sampleAgent } from '@bailiwick/standalone/sample-agent'
import { type Approver, enrolApprover, type System, type SystemOptions, startSystem } from '@bailiwick/testkit'
import { Cast, type Part } from './cast.ts'
import { invoiceCall } from './invoice-call.ts'
import { patiently } from './patience.ts'
import { SubAgents } from './sub-agents.ts'

export interface Granted {
  requestId: string
  grantId: string
  token: string
  /** Unless it is the sample agent, at the sample tool server. */
  actor?: Actor
}

/** The holder of a credential, and the place where it is used. */
export interface Actor {
  key?: SigningKey<'agent'>
  /** The instance that has the grant. */
  subject?: string
  toolServer?: string
}

/**
 * The authority that the agent asks for: the sample's, with room for a bench. `n` tells requests apart, because an
 * identical request is the same request.
 */
export function roomyAsk(n: number, toolServer: string = sample.toolServer) {
  const [reading, adjusting] = sampleAuthority.permissions
  const permissions =
    toolServer === sample.toolServer
      ? [reading, adjusting]
      : [{ ...reading, resource: { ...reading.resource, id: invoiceCall(toolServer).resource.id } }]
  const budget = { ...sampleAuthority.budget, calls: 1_000_000 + n }
  const authority = { ...sampleAuthority, permissions, budget, max_depth: 1, max_children: 1000 }
  return { authority, mode: 'window', expiresInSeconds: 8 * 3600 } as const
}

export type Evaluation = Parameters<System['services']['policyDecision']['decide']>[1]

/** A running system with an approver and an agent that asks for a lot. */
export class World implements AsyncDisposable {
  readonly system: System
  readonly approver: Approver
  readonly point: EnforcementPoint
  readonly subAgents: SubAgents
  readonly cast: Cast
  readonly #agentKey: SigningKey<'agent'>
  #proofs = 0
  #asked = 0

  private constructor(
    system: System,
    approver: Approver,
    point: EnforcementPoint,
    { subAgents, cast }: { subAgents: SubAgents; cast: Cast },
  ) {
    this.system = system
    this.approver = approver
    this.point = point
    this.subAgents = subAgents
    this.cast = cast
    this.#agentKey = sampleKey(system.data, 'reconciler')
  }

  static async open(dir: string, options: Omit<SystemOptions, 'data'> = {}): Promise<World> {
    const subAgents = new SubAgents()
    const cast = new Cast()
    const entities = (sample: InitialEntities) => cast.entities(subAgents.entities(sample))
    // The limits for one agent are not measured here.
    const quotas = {
      BAILIWICK_DECISIONS_PER_MINUTE_AGENT: '10000000',
      BAILIWICK_DECISIONS_PER_MINUTE_GRANT: '10000000',
    }
    const env = { ...quotas, ...options.env }
    const system = await startSystem({ entities, ...options, env, data: mkdtempSync(join(dir, 'system-')) })
    const approver = await patiently(() => enrolApprover(system))
    const { registry } = system.services.policyDecision.pdp.projection.ledger
    const point = registry.get('enforcement-point', sample.enforcementPoint)
    if (!point) throw new Error('the sample has no enforcement point')
    return new World(system, approver, point, { subAgents, cast })
  }

  agent() {
    return sampleAgent(this.system.host, 'reconciler')
  }

  /** A request, its approval and a credential, for the sample agent unless a part is given. */
  async grant(part?: Part): Promise<Granted> {
    const acting = part?.agent ?? this.agent()
    const ask = roomyAsk(++this.#asked, part?.toolServer)
    const { requestId } = await patiently(() => acting.request(ask))
    const answer = await patiently(() => (part?.approver ?? this.approver).approve(requestId))
    if (answer.grant_id === undefined) throw new Error(`the request is ${answer.status}, without a grant`)
    const grant = { grantId: answer.grant_id }
    const { token } = await patiently(() => acting.credential(grant))
    return { requestId, grantId: answer.grant_id, token, ...(part && { actor: part }) }
  }

  /** Another credential for this grant. */
  async token(grantId: string): Promise<string> {
    return (await patiently(() => this.agent().credential({ grantId }))).token
  }

  /** A call as an enforcement point sends it, parsed, with a fresh proof. */
  evaluation({ token, actor = {} }: Granted): Evaluation {
    const { key = this.#agentKey, subject = this.agentId, toolServer } = actor
    const { action, resource, digest } = invoiceCall(toolServer)
    const { host, services, invoicesUrl } = this.system
    const htu = `${invoicesUrl}/read`
    // Fetches the nonce: proofs from the seconds around a start count only with one.
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
      subject: { type: 'agent', id: subject },
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
