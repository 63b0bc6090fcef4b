import {
  type FirstChange,
  type GovernedView,
  type RegistryView,
  statementHash,
  verifyAuthorization,
} from '@bailiwick/approval-statement'
import type { Entity, EntityType } from '@bailiwick/contracts'
import { anchorKey, jcsHash, type Trust } from '@bailiwick/credentials'
import { Governance } from './governance.ts'
import { type Finding, type Leaf, onTopic } from './leaf.ts'

interface Version {
  version: number
  value: Entity | undefined
  at: number
}

/** The registry of the log, each version of each entity with its time. */
export class Registry {
  readonly #versions = new Map<string, Version[]>()
  readonly #governance: Governance
  #begun: string | undefined
  readonly #first: FirstChange[] = []
  readonly findings: Finding[] = []
  /** Indexes of the leaves without effect. */
  readonly void = new Set<number>()

  private constructor(governance: Governance) {
    this.#governance = governance
  }

  /** Folds it from its first leaf. Every change that counts was authorised by the registry before it, back to the anchor. */
  static async read(leaves: readonly Leaf[], trust: Trust): Promise<Registry> {
    const registry = new Registry(new Governance(trust, leaves))
    for (const leaf of onTopic(leaves, 'registry.v1')) await registry.#apply(leaf, trust)
    return registry
  }

  async #apply(leaf: Leaf<'registry.v1'>, trust: Trust): Promise<void> {
    const { event, index, at } = leaf
    const { entity, authorization } = event.data
    const key = `${entity.type} ${entity.id}`
    const versions = this.#versions.get(key) ?? []
    const known = versions.at(-1)
    const refuse = (detail: string) => {
      this.findings.push({ leaf: index, rule: 'registry', detail: `${key}: ${detail}` })
      this.void.add(index)
    }
    const version = event.version ?? 0
    if (version !== (known?.version ?? 0) + 1) return refuse(`version ${version} after ${known?.version ?? 0}`)
    const value: Entity | undefined = 'value' in event.data ? event.data.value : undefined
    const verb = value === undefined ? 'retired' : known?.value === undefined ? 'registered' : 'changed'
    if (event.type !== `${entity.type}.${verb}`) return refuse(`${event.type} where it is ${verb}`)
    const before = this.viewAt(Number.POSITIVE_INFINITY)
    const problem = this.#governance.problemOf(leaf, before)
    if (problem !== undefined) return refuse(problem)
    const { recoveries } = this.#governance
    const after = 'hash' in event.data ? event.data.hash : undefined
    const authorised = await verifyAuthorization({
      authorization,
      entity,
      version,
      before: known?.value === undefined ? undefined : jcsHash(known.value),
      value,
      after,
      at,
      registry: {
        ...before,
        enrolled: this.#enrolled(),
        recoveries,
        begun: this.#begun,
        first: this.#first,
        takesTwo: this.#governance.takesTwo,
      },
      anchor: { trust, root: anchorKey(trust, 'root'), invitation: anchorKey(trust, 'invitation') },
    })
    if (!authorised.ok) return refuse(`${authorised.code}: ${authorised.detail}`)
    this.#versions.set(key, [...versions, { version, value, at }])
    this.#first.push({ ...entity, version, after })
    if (authorization.kind === 'approvers') this.#begun = statementHash(authorization.statement)
    else if (authorization.kind === 'invitation' || authorization.kind === 'recovery') this.#begun = undefined
    this.#governance.apply(leaf)
  }

  #enrolled(): boolean {
    return [...this.#versions.keys()].some((key) => key.startsWith('approver '))
  }

  get<T extends EntityType>(type: T, id: string, at: number): Entity<T> | undefined {
    return this.#versions.get(`${type} ${id}`)?.findLast((each) => each.at <= at)?.value as Entity<T> | undefined
  }

  /** Whether an entity ever had this property, up to a moment after that time: readers fold a change a moment after its time. */
  had<T extends EntityType>(type: T, id: string, at: number, holds: (value: Entity<T>) => boolean): boolean {
    return (this.#versions.get(`${type} ${id}`) ?? []).some(
      (each) => each.at <= at && each.value !== undefined && holds(each.value as Entity<T>),
    )
  }

  /** The agent of `<agent id>/<instance>`, and that instance's key where the registry must have it. */
  instance(id: string, at: number): { agent: Entity<'agent'>; jwk: { kty: string } | undefined } | undefined {
    const cut = id.lastIndexOf('/')
    const agent = this.get('agent', id.slice(0, cut), at)
    if (agent?.attestor.kind !== 'registered_key') return agent && { agent, jwk: undefined }
    const jwk = agent.attestor.keys.find(({ instance }) => instance === id.slice(cut + 1))?.jwk
    return jwk && { agent, jwk }
  }

  viewAt(at: number): RegistryView & Pick<GovernedView, 'serviceKeys'> {
    const all = <T extends EntityType>(type: T) =>
      new Map(
        [...this.#versions.keys()]
          .filter((key) => key.startsWith(`${type} `))
          .map((key) => this.get(type, key.slice(type.length + 1), at))
          .filter((value) => value !== undefined)
          .map((value) => [value.id, value]),
      )
    return {
      approvers: all('approver'),
      rules: all('rule'),
      agents: all('agent'),
      toolServers: all('tool-server'),
      serviceKeys: all('service-key'),
    }
  }
}
