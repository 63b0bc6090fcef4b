import { type Agent, createAgent } from '@bailiwick/agent'
import { generateKey, jcsHash, type SigningKey } from '@bailiwick/credentials'
import type { InitialEntities } from '@bailiwick/installation'
import { sample, sampleAgentId } from '@bailiwick/standalone/sample'
import type { Approver, RunningSystem } from '@bailiwick/testkit'
import { patiently, persistently } from './patience.ts'

/** The number of each kind: enough for all lanes. */
const castSize = 8

/** One agent with its approver and tool server. A revocation of any of these ends only what belongs to this part. */
export interface Part {
  agent: Agent
  /** The agent's id; its instance is the subject. */
  agentId: string
  subject: string
  key: SigningKey<'agent'>
  approver: Approver
  toolServer: string
}

const agentIdOf = (n: number) => sampleAgentId(`part-${n}`)
const approverIdOf = (n: number) => `approver-${n}`
const toolServerOf = (n: number) => `${sample.toolServer}-${n}`

/** Agents, approvers and tool servers in addition to those of the sample. */
export class Cast {
  readonly #keys = Array.from({ length: castSize }, () => generateKey('agent'))
  readonly #parts = new Map<string, Promise<Part>>()

  /** The initial registry of a system, with these agents and tool servers added. */
  readonly entities = (entities: InitialEntities): InitialEntities => {
    const tools = { read: { labels: ['reads_private'] } }
    const added = this.#keys.flatMap(({ publicJwk }, n): InitialEntities => {
      const keys = [{ instance: sample.instance, jwk: { ...publicJwk } }]
      const attestor = { kind: 'registered_key' as const, keys }
      const agent = { id: agentIdOf(n), name: `Part ${n}`, owner: sample.owner, attestor, labels: [] }
      const server = { id: toolServerOf(n), url: `http://localhost/${n}/`, manifest: jcsHash(tools), tools }
      return [
        { type: 'agent', value: { ...agent, proactive_requests: true } },
        { type: 'tool-server', value: server },
      ]
    })
    const theirs = this.#keys.map((_, n) => ({ type: 'tool', id: `${toolServerOf(n)}/read` }))
    const extended = entities.map((entity) =>
      entity.type === 'enforcement-point'
        ? { ...entity, value: { ...entity.value, resources: [...entity.value.resources, ...theirs] } }
        : entity,
    )
    return [...extended, ...added]
  }

  /** `owner` approves everything that does not concern approvers, and appoints the other approvers. */
  part(system: RunningSystem, owner: Approver, n: number, ownApprover: boolean): Promise<Part> {
    const name = `${n} ${ownApprover}`
    const made = this.#parts.get(name) ?? this.#make(system, owner, n, ownApprover)
    this.#parts.set(name, made)
    return made
  }

  async #make(system: RunningSystem, owner: Approver, n: number, ownApprover: boolean): Promise<Part> {
    const key = this.#keys[n]
    if (key === undefined) throw new Error(`there is no part ${n}`)
    const { clock, random, trust } = system
    const agent = createAgent({
      ...{ agentId: agentIdOf(n), instance: sample.instance, key, installation: trust.installation },
      ...{ baseUrl: trust.public_url, now: () => clock.now(), random },
    })
    const approver = ownApprover ? await approverOf(owner, n) : owner
    return { agent, agentId: agentIdOf(n), subject: agent.id, key, approver, toolServer: toolServerOf(n) }
  }
}

async function approverOf(owner: Approver, n: number): Promise<Approver> {
  const person = { approver_id: approverIdOf(n), name: `Approver ${n}`, groups: [sample.group] }
  const { requestId, invited } = await owner.invite(person)
  await patiently(() => owner.approve(requestId))
  await persistently(() => invited.signIn())
  return invited
}
