import { agentIdOf, type DecodedEvent, type EventData, type Grant, type RevocationKind } from '@bailiwick/contracts'
import type { Holder } from './delegation-chain.ts'
import { isNext, type Verdict } from './verdict.ts'

/** Everything by which one action could be dead. */
export interface Lineage {
  credential?: string
  delegations: readonly string[]
  /** Root grant and grant. */
  grants: readonly string[]
  /** SPIFFE IDs of the agents in the chain, instances included. */
  agents: readonly string[]
  approvers: readonly string[]
  toolServers: readonly string[]
  /** The grant's: what the humans knew of. */
  asOf: number
  /** When the humans were shown what they signed, ms since the epoch, as they signed it. */
  shownAt?: number
}

/** `declaredAt`: ms since the epoch, as the issuer signed it. */
export type Revocation = EventData<'revocations.v1', 'revocation.declared'> & { version: number; declaredAt?: number }

/** Who shows statements and who revokes differ by less, or neither is fresh for the other (DESIGN §5). */
const clocksDifferMs = 5000

/**
 * What is dead (V7). Nothing is ever taken back: kinds credential, delegation and grant kill by name, for good; the others
 * kill everything that matches and was approved before (`as_of` below the revocation's version). Kind all kills what was shown before it,
 * too, whatever that claims to know of: after a restore, the numbers of a history that was lost are given out again.
 */
export class RevocationState {
  readonly #base: boolean
  #version: number | undefined
  #acknowledged = 0
  readonly #byName = new Map<string, { revocation: Revocation; at: number }>()
  /** By the id that whoever ordered it gave it. */
  readonly #sequences = new Map<string, number>()

  constructor(options: { base: boolean }) {
    this.#base = options.base
  }

  /** The dense sequence that has been applied; 0 before the first. */
  get sequence(): number {
    return this.#version ?? 0
  }

  /** The sequence up to which the issuer has acknowledged the revocations; 0 before its first acknowledgement. */
  get acknowledged(): number {
    return this.#acknowledged
  }

  /** `takenAt`: when the bus took it, ms since the epoch. */
  apply(event: DecodedEvent<'revocations.v1'>, takenAt = 0): Verdict {
    if (event.type === 'revocation.acknowledged') {
      if (event.data.sequence > this.sequence) return 'void'
      this.#acknowledged = Math.max(this.#acknowledged, event.data.sequence)
      return 'counts'
    }
    if (!isNext(event.version, this.#version, this.#base)) return 'void'
    const version = event.version as number
    this.#version = version
    this.#sequences.set(event.data.revocation_id, version)
    this.#keep(
      { ...event.data, version, declaredAt: Date.parse(event.time) },
      Math.max(Date.parse(event.time), takenAt),
    )
    return 'counts'
  }

  /** As if this one had been declared, and no other: to see what it would kill. */
  static supposing(revocation: Revocation): RevocationState {
    const supposed = new RevocationState({ base: true })
    supposed.#keep(revocation, 0)
    return supposed
  }

  #keep(revocation: Revocation, at: number): void {
    const { kind, target } = revocation
    const name = nameOf(kind, target)
    // By name: the first is for good. By match: the newest reaches furthest.
    if (!killsByName(kind) || !this.#byName.has(name)) this.#byName.set(name, { revocation, at })
  }

  /**
   * Forgets what killed by name before `ms`, unless who bore the name is known: agents give back what they have used as a matter of course,
   * and memory follows what is alive. The log keeps all of it. The caller leaves more time than anything that has a name may live.
   */
  forgetNamedBefore(ms: number, isKnown: (kind: RevocationKind, target: string) => boolean): void {
    for (const [name, { revocation, at }] of this.#byName) {
      const { kind, target, revocation_id } = revocation
      if (!killsByName(kind)) continue
      if (at >= ms) return // the others came later
      if (isKnown(kind, target)) continue
      this.#byName.delete(name)
      this.#sequences.delete(revocation_id)
    }
  }

  find(kind: RevocationKind, target: string): Revocation | undefined {
    return this.#byName.get(nameOf(kind, target))?.revocation
  }

  /** The place of a revocation in the sequence, once it was declared. */
  sequenceOf(revocationId: string): number | undefined {
    return this.#sequences.get(revocationId)
  }

  /** The revocation that kills this, if any. */
  kills(lineage: Lineage): Revocation | undefined {
    const byName =
      (lineage.credential === undefined ? undefined : this.find('credential', lineage.credential)) ??
      first(lineage.delegations, (id) => this.find('delegation', id)) ??
      first(lineage.grants, (id) => this.find('grant', id))
    if (byName) return byName
    const alive = (revocation: Revocation | undefined) =>
      revocation !== undefined && lineage.asOf < revocation.version ? revocation : undefined
    const all = this.find('all', '*')
    return (
      (isShownBefore(lineage, all) ? all : alive(all)) ??
      first(lineage.agents, (agent) => first(pathsOf(agent), (id) => alive(this.find('agent', id)))) ??
      first(lineage.approvers, (id) => alive(this.find('approver', id))) ??
      first(lineage.toolServers, (id) => alive(this.find('tool-server', id)))
    )
  }
}

/** Everything by which a grant, a chain of sub-agents below it, and a credential of the last of them, could be dead. */
export function lineageOf(
  { grant, heldBefore }: { grant: Grant; heldBefore: readonly { agent: string }[] },
  approvers: readonly string[],
  { credential, holders = [] }: { credential?: string; holders?: readonly Pick<Holder, 'id' | 'agent'>[] } = {},
): Lineage {
  return {
    ...(credential === undefined ? {} : { credential }),
    delegations: holders.filter(({ id }) => id !== grant.id).map(({ id }) => id),
    grants: [grant.id],
    // Whoever asked, and whoever held it since: a grant that moved on from a stopped one is stopped with it.
    agents: [
      ...new Set([grant.agent, grant.statement.agent, ...[...heldBefore, ...holders].map(({ agent }) => agent)]),
    ],
    approvers,
    toolServers: Object.keys(grant.statement.manifests),
    asOf: grant.as_of,
    shownAt: Date.parse(grant.statement.issued_at),
  }
}

const isShownBefore = ({ shownAt }: Lineage, all: Revocation | undefined): boolean =>
  shownAt !== undefined && all?.declaredAt !== undefined && shownAt + clocksDifferMs < all.declaredAt

const killsByName = (kind: RevocationKind) => kind === 'credential' || kind === 'delegation' || kind === 'grant'
/** There is one `all`, whatever its target says: a stop that misses would be the worst of misspellings. */
const nameOf = (kind: RevocationKind, target: string) => (kind === 'all' ? kind : `${kind} ${target}`)

/** An agent's id and its instance's: revoking `spiffe://d/agent/x` ends `spiffe://d/agent/x/instance-1` too. */
const pathsOf = (spiffeId: string): string[] => [spiffeId, agentIdOf(spiffeId)]

function first<T, R>(items: readonly T[], find: (item: T) => R | undefined): R | undefined {
  for (const item of items) {
    const found = find(item)
    if (found !== undefined) return found
  }
  return undefined
}
