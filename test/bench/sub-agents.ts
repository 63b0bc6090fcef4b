import { type Agent, createAgent } from '@bailiwick/agent'
import { generateKey, type SigningKey } from '@bailiwick/credentials'
import type { InitialEntities } from '@bailiwick/installation'
import { sample, sampleAuthority } from '@bailiwick/standalone/sample'
import { sampleAgent } from '@bailiwick/standalone/sample-agent'
import type { RunningSystem } from '@bailiwick/testkit'
import { patiently } from './patience.ts'

const agentId = 'spiffe://bailiwick.local/agent/sub-agent'

/** What a sub-agent acts with. */
export interface PassedOn {
  token: string
  key: SigningKey<'agent'>
  /** Its id. */
  delegation: string
}

/**
 * Those to whom the sample agent passes on parts of its grants: so many instances that each has fewer credentials under one grant than an
 * issuer lets live (512), though a tree has a thousand descendants.
 */
export class SubAgents {
  readonly #keys = Array.from({ length: 4 }, () => generateKey('agent'))
  readonly #agents: Agent[] = []
  #parent: Agent | undefined
  #passedOn = 0

  /** With these in it, the registry that a system begins with. */
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

  /** Passed on to the next of them in turn, and redeemed. The parent goes on with the one credential that it has for the grant. */
  async passOn(system: RunningSystem, grantId: string): Promise<PassedOn> {
    this.#parent ??= sampleAgent(system, 'reconciler')
    const n = this.#passedOn++ % this.#keys.length
    const key = this.#keys[n]
    if (key === undefined) throw new Error('there is nobody to pass it on to')
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
