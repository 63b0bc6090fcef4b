import {
  type FirstChange,
  type GovernedView,
  type RegistryView,
  statementHash,
  type TakenRecovery,
} from '@bailiwick/approval-statement'
import type {
  Agent,
  Approver,
  Authorization,
  DecodedEvent,
  EnforcementPoint,
  Entity,
  EntityType,
  PolicySet,
  PublicJwk,
  Recovery,
  Rule,
  ServiceKey,
  ToolServer,
} from '@bailiwick/contracts'
import { jcsHash, longestGenesis } from '@bailiwick/credentials'
import { ServiceKeyOrder } from './service-key-order.ts'
import { isNext, type Verdict } from './verdict.ts'

type ByApprovers = Extract<Authorization, { kind: 'approvers' }>
type Named = ByApprovers['statement']['entities'][number]

export interface EntityRecord<T extends EntityType = EntityType> {
  type: T
  id: string
  version: number
  /** Absent: retired. */
  value: Entity<T> | undefined
  hash: string | undefined
  /** ms since the epoch of the event that set this value. */
  changedAt: number
  /** The event that set this value. */
  eventId: string
  by: ChangeAuthor
}

/** Whose signature makes a version count. */
export interface ChangeAuthor {
  kind: Authorization['kind']
  /** The people who signed, by their names at that time. None: no person's passkey signed it. */
  signers: readonly { id: string; name: string }[]
  /** For a change that people signed: who proposed it, and as which request. */
  proposer?: string
  requestId?: string
}

/** One registry event taken apart, for judging its authorisation. */
export interface RegistryChange {
  type: EntityType
  id: string
  version: number
  before: string | undefined
  after: string | undefined
  value: Entity | undefined
  authorization: Authorization
  at: number
  /** When the bus took the event, if known. */
  takenAt?: number | undefined
}

/** Whether a change is authorised by the registry as it was before the change (DESIGN §3, trust anchor). */
export type JudgeChange = (change: RegistryChange, registry: RegistryState) => Promise<boolean>

/** Which people and things exist. Judged by this topic alone, from its start, so that every reader sees the same registry. */
export class RegistryState {
  readonly #judge: JudgeChange
  readonly #entities = new Map<string, EntityRecord>()
  /** Every version of every entity, oldest first. An approval is judged by the registry of its time. */
  readonly #history = new Map<string, EntityRecord[]>()
  /** The first changes that count, as many as a genesis can have. */
  readonly #first: FirstChange[] = []
  readonly #recoveries = new Map<string, TakenRecovery>()
  #newest: { hash: string; by: ByApprovers } | undefined
  readonly serviceKeyOrder = new ServiceKeyOrder()
  /** The time of each change, in the order in which this reader took them. */
  readonly #changes: number[] = []
  #enrolled = false
  #takesTwo = false

  constructor(judge: JudgeChange) {
    this.#judge = judge
  }

  /** `takenAt`: when the bus took it, ms since the epoch. Absent when read from a log, which does not record it. */
  async apply(event: DecodedEvent<'registry.v1'>, takenAt?: number): Promise<Verdict> {
    const { entity, authorization } = event.data
    const key = `${entity.type} ${entity.id}`
    const known = this.#entities.get(key)
    const value: Entity | undefined = 'value' in event.data ? event.data.value : undefined
    const after = 'hash' in event.data ? event.data.hash : undefined
    if (!isNext(event.version, known?.version, false)) return 'void'
    if (!typeFits(event.type, known, value !== undefined)) return 'void'
    if (value !== undefined && (value.id !== entity.id || jcsHash(value) !== after)) return 'void'
    const version = event.version as number
    const at = Date.parse(event.time)
    const { type, id } = entity
    const change = { type, id, version, before: known?.hash, after, value, authorization, at, takenAt }
    if (!(await this.#judge(change, this))) return 'void'
    const by = this.#authorOf(authorization)
    const record = {
      type: entity.type,
      id: entity.id,
      version,
      value,
      hash: after,
      changedAt: at,
      eventId: event.id,
      by,
    }
    this.#entities.set(key, record)
    this.#history.set(key, [...(this.#history.get(key) ?? []), record])
    this.#changes.push(at)
    if (this.#first.length < longestGenesis) this.#first.push({ type, id, version, after })
    if (entity.type === 'approver') this.#enrolled = true
    if (entity.type === 'service-key') this.serviceKeyOrder.apply(id, value as ServiceKey | undefined)
    if (entity.type === 'recovery') this.#keepRecovery(value as Recovery | undefined, id, Math.max(at, takenAt ?? at))
    if (authorization?.kind === 'approvers' && authorization.statement.v === 2) this.#takesTwo = true
    if (authorization?.kind === 'approvers')
      this.#newest = { hash: statementHash(authorization.statement), by: authorization }
    // Changes of service keys and announced recoveries are not made by people, so they may come while such a change is half made.
    else if (authorization?.kind === 'invitation' || authorization?.kind === 'recovery') this.#newest = undefined
    if (authorization?.kind === 'recovery') this.#useRecovery(authorization.recovery)
    return 'counts'
  }

  /** Read before the change is taken: a change may retire a person who signed it. */
  #authorOf(authorization: Authorization): ChangeAuthor {
    const kind = authorization?.kind
    if (authorization?.kind !== 'approvers') return { kind, signers: [] }
    const { statement, assertions } = authorization
    const signers = assertions.flatMap(({ credential_id }) => this.#everHeld(credential_id) ?? [])
    return { kind, signers, proposer: statement.proposer, requestId: statement.change_id }
  }

  /** An earlier part of the same change may have retired the passkey. */
  #everHeld(credentialId: string): { id: string; name: string } | undefined {
    const now = this.passkey(credentialId)?.approver
    if (now !== undefined) return { id: now.id, name: now.name }
    for (const versions of this.#history.values()) {
      if (versions[0]?.type !== 'approver') continue
      for (const { value } of versions.toReversed()) {
        const held = value as Approver | undefined
        if (held?.credentials.some(({ credential_id }) => credential_id === credentialId))
          return { id: held.id, name: held.name }
      }
    }
    return undefined
  }

  /** A recovery's delay runs from when the event became visible. Otherwise a writer could shorten it by backdating the event. */
  #keepRecovery(value: Recovery | undefined, id: string, takenAt: number): void {
    if (value === undefined) this.#recoveries.delete(id)
    else this.#recoveries.set(id, { value, takenAt, used: false })
  }

  #useRecovery(id: string): void {
    const known = this.#recoveries.get(id)
    if (known) this.#recoveries.set(id, { ...known, used: true })
  }

  /**
   * The view by which approvals are judged, as of now or of the time `ms`. Three members are always as of now: whether anyone was ever
   * enrolled, the recoveries, and the newest human change.
   */
  view(ms = Number.POSITIVE_INFINITY): RegistryView & GovernedView {
    const at = <T extends EntityType>(type: T) => this.#at(type, ms)
    return {
      approvers: at('approver'),
      rules: at('rule'),
      enrolled: this.#enrolled,
      recoveries: this.#recoveries,
      begun: this.#newest?.hash,
      first: this.#first,
      takesTwo: this.#takesTwo,
      // Each registry event is judged by a view, and few judgements need these members. So they are computed on access.
      get agents() {
        return at('agent')
      },
      get toolServers() {
        return at('tool-server')
      },
      get serviceKeys() {
        return at('service-key')
      },
    }
  }

  /**
   * The approvers' signed statement of their newest change, if parts of it are missing because their writer died. undefined when the change
   * is complete.
   */
  get half(): ByApprovers | undefined {
    const made = ({ type, id, version }: Named) => (this.#entities.get(`${type} ${id}`)?.version ?? 0) >= version
    return this.#newest?.by.statement.entities.every(made) ? undefined : this.#newest?.by
  }

  /** The number of changes taken. */
  get taken(): number {
    return this.#changes.length
  }

  /**
   * Whether a change that `view(ms)` shows was taken after the first `taken` changes. Topics arrive at different speeds. A judgement by the
   * registry of a time must be repeated if parts of that registry arrived later.
   */
  changedSince(taken: number, ms: number): boolean {
    for (let n = taken; n < this.#changes.length; n++) if ((this.#changes[n] ?? ms) <= ms) return true
    return false
  }

  /** Whether this version of this entity has this hash. Any other content that claims to be this version is void. */
  stands({ entity, hash }: { entity: { type: EntityType; id: string }; hash?: string }, version: number): boolean {
    const versions = this.#history.get(`${entity.type} ${entity.id}`) ?? []
    return versions.some((record) => record.version === version && record.hash === hash)
  }

  #at<T extends EntityType>(type: T, ms: number): Map<string, Entity<T>> {
    const found = new Map<string, Entity<T>>()
    for (const versions of this.#history.values()) {
      if (versions[0]?.type !== type) continue
      const value = versions.findLast(({ changedAt }) => changedAt <= ms)?.value
      if (value) found.set(value.id, value as Entity<T>)
    }
    return found
  }

  /** An entity's value at `ms`, and all its later values, oldest first; undefined: retired. */
  since<T extends EntityType>(type: T, id: string, ms: number): (Entity<T> | undefined)[] {
    const versions = this.#history.get(`${type} ${id}`) ?? []
    const then = versions.findLastIndex(({ changedAt }) => changedAt <= ms)
    return versions.slice(Math.max(then, 0)).map(({ value }) => value as Entity<T> | undefined)
  }

  record<T extends EntityType>(type: T, id: string): EntityRecord<T> | undefined {
    return this.#entities.get(`${type} ${id}`) as EntityRecord<T> | undefined
  }

  /** Every version of an entity that counts, oldest first. */
  versions<T extends EntityType>(type: T, id: string): readonly EntityRecord<T>[] {
    return (this.#history.get(`${type} ${id}`) ?? []) as unknown as readonly EntityRecord<T>[]
  }

  get<T extends EntityType>(type: T, id: string): Entity<T> | undefined {
    return this.record(type, id)?.value
  }

  all<T extends EntityType>(type: T): Entity<T>[] {
    return [...this.#entities.values()].flatMap((record) =>
      record.type === type && record.value !== undefined ? [record.value as Entity<T>] : [],
    )
  }

  records(): readonly EntityRecord[] {
    return [...this.#entities.values()]
  }

  get approvers(): Approver[] {
    return this.all('approver')
  }

  get rules(): Rule[] {
    return this.all('rule')
  }

  get serviceKeys(): ServiceKey[] {
    return this.all('service-key')
  }

  /**
   * The agent of an instance `<agent id>/<instance>`. `jwk` is that instance's registered key. With any other attestor the registry knows
   * no key, and the workload presents one. undefined for an instance that should have a registered key but has none.
   */
  instance(spiffeId: string): { agent: Agent; jwk: PublicJwk | undefined } | undefined {
    const cut = spiffeId.lastIndexOf('/')
    const agent = this.get('agent', spiffeId.slice(0, cut))
    if (agent?.attestor.kind !== 'registered_key') return agent && { agent, jwk: undefined }
    const key = agent.attestor.keys.find(({ instance }) => instance === spiffeId.slice(cut + 1))
    return key && { agent, jwk: key.jwk }
  }

  enforcementPoint(id: string): EnforcementPoint | undefined {
    return this.get('enforcement-point', id)
  }

  get toolServers(): ToolServer[] {
    return this.all('tool-server')
  }

  get policySet(): PolicySet | undefined {
    return this.get('policy-set', 'active')
  }

  /** Every passkey that this person ever had. Signatures by a passkey retired since were made by this person, too. */
  passkeysOf(approverId: string): string[] {
    const versions = this.#history.get(`approver ${approverId}`) ?? []
    const values = versions.flatMap(({ value }) => (value === undefined ? [] : [value as Approver]))
    return [...new Set(values.flatMap(({ credentials }) => credentials.map(({ credential_id }) => credential_id)))]
  }

  /** The approver and passkey of a credential id. Two people never share one. */
  passkey(credentialId: string): { approver: Approver; credential: Approver['credentials'][number] } | undefined {
    for (const approver of this.approvers) {
      const credential = approver.credentials.find(({ credential_id }) => credential_id === credentialId)
      if (credential) return { approver, credential }
    }
    return undefined
  }
}

/** `registered` creates an entity that does not exist; `changed` and `retired` need one that does. */
function typeFits(type: string, known: EntityRecord | undefined, hasValue: boolean): boolean {
  const verb = type.slice(type.lastIndexOf('.') + 1)
  const there = known?.value !== undefined
  if (verb === 'registered') return !there && hasValue
  return there && hasValue === (verb === 'changed')
}
