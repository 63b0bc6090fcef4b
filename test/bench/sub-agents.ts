import { type Agent, createAgent } from '@bailiwick/agent'
import { generateKey, type SigningKey } from '@bailiwick/credentials'
import type { InitialEntities } from '@bailiwick/installation'
import { sample, sampleAuthority } from '@bailiwick/standalone/sample'
import { sampleAgent } from '@bailiwick/standalone/sample-agent'
import type { RunningSystem } from '@bailiwick/testkit'
import { patiently } from './patience.ts'

const agentId = 'spiffe://bailiwick.local/agent/sub-agent'

/** The credential of a sub-agent. */
export interface PassedOn {
  token: string
  key: SigningKey<'agent'>
  /** The sub-agent's id. */
  delegation: string
}

/**
 * The sub-agents to which the sample agent delegates parts of its grants. There are enough instances that each has
 * fewer credentials under one grant than an issuer lets live (512), although a tree has a thousand descendants.
 */
export class SubAgents {
  readonly #keys = Array.from({ length: 4 }, () => generateKey('agent'))
  readonly #agents: Agent[] = []
  #parent: Agent | undefined
  #passedOn = 0

  /** The initial registry of a system, with these sub-agents added. */
  readonly entities = (entities: InitialEntities): InitialEntities => {
    const keys = this.#keys.map(({ publicJwk }, n) => ({ instance: `i${n + 1}`, jwk: { ...publicJwk } }))
    const attestor = { kind: 'registered_key' as const, keys }
    const value = {
      id: agentId,
      name: 'Sub-agent',
      owner: sample.owner,
      attestor,
      labels: [],
      proactive_requests: false,
    }
    return [...entities, { type: 'agent', value }]
  }

  /** Delegates to the next of them in turn, which redeems it. The parent keeps its one credential for the grant. */
  async passOn(system: RunningSystem, grantId: string): Promise<PassedOn> {
    this.#parent ??= sampleAgent(system, 'reconciler')
    const n = this.#passedOn++ % this.#keys.length
    const key = this.#keys[n]
    if (key === undefined) throw new Error('there is no sub-agent to delegate to')
    const { clock, random, trust } = system
    const subAgent =
      this.#agents[n] ??
      createAgent({
        ...{ agentId, instance: `i${n + 1}`, key, installation: trust.installation, baseUrl: trust.public_url },
        ...{ now: () => clock.now(), random },
      })
    this.#agents[n] = subAgent
    const parent = this.#parent
    const ask = {
      of: { grantId },
      to: `${agentId}/i${n + 1}`,
      key: key.kid,
      authority: {
        ...sampleAuthority,
        budget: { ...sampleAuthority.budget, calls: 100_000 },
        max_depth: 0,
        max_children: 0,
      },
      expiresAt: clock.now() + 1_800_000,
    }
    const { id, delegation } = await patiently(() => parent.delegate(ask))
    const { token } = await patiently(() => subAgent.credential({ delegation }))
    return { token, key, delegation: id }
  }
}
