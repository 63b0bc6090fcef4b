import { agentIdOf, type DecodedEvent, type EventData, type Grant, type RevocationKind } from '@bailiwick/contracts'
import type { Row, RowReaders } from './cut/row.ts'
import type { Holder } from './delegation-chain.ts'
import { isNext, type Verdict } from './verdict.ts'

/** Everything whose revocation could make one action dead. */
export interface Lineage {
  credential?: string
  delegations: readonly string[]
  /** Root grant and grant. */
  grants: readonly string[]
  /** SPIFFE IDs of the agents in the chain, instances included. */
  agents: readonly string[]
  approvers: readonly string[]
  toolServers: readonly string[]
  /** The grant's `as_of`: the revocations that the approvers knew of. */
  asOf: number
  /** When the humans were shown what they signed, ms since the epoch, as they signed it. */
  shownAt?: number
}

/** `declaredAt`: ms since the epoch, as the issuer signed it. */
export type Revocation = EventData<'revocations.v1', 'revocation.declared'> & { version: number; declaredAt?: number }

/** The clocks of the service that shows statements and of the service that revokes differ by less, or they are stale (DESIGN §5). */
const clocksDifferMs = 5000

/**
 * What is dead (V7). A revocation is never taken back. Kinds credential, delegation and grant kill by name, for good. The other kinds
 * kill everything that matches and was approved earlier (`as_of` below the revocation's version). Kind all also kills what was shown
 * before it, regardless of its `as_of`: after a restore, the numbers of a lost history are given out again.
 */
export class RevocationState {
  readonly #base: boolean
  #version: number | undefined
  #acknowledged = 0
  readonly #byName = new Map<string, { revocation: Revocation; at: number }>()
  /** By the id that the orderer of the revocation gave it. */
  readonly #sequences = new Map<string, number>()

  constructor(options: { base: boolean }) {
    this.#base = options.base
  }

  /** The dense sequence applied so far; 0 before the first. */
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

  /** Its state as it is now. */
  cut(): Iterable<Row> {
    const kept = [...this.#byName.values()]
    const sequences = [...this.#sequences]
    const first: Row = ['revocations', this.#version ?? null, this.#acknowledged]
    return (function* rows(): Generator<Row> {
      yield first
      for (const { revocation, at } of kept) yield ['revocation', revocation, at]
      for (const [id, sequence] of sequences) yield ['sequence', id, sequence]
    })()
  }

  get rowReaders(): RowReaders {
    return {
      revocations: (columns) => {
        this.#version = columns.maybe((column) => column.whole())
        this.#acknowledged = columns.whole()
      },
      revocation: (columns) => {
        const revocation = columns.object<Revocation>()
        this.#byName.set(nameOf(revocation.kind, revocation.target), { revocation, at: columns.whole() })
      },
      sequence: (columns) => this.#sequences.set(columns.text(), columns.whole()),
    }
  }

  /** A state with this revocation and no other, to see what it would kill. */
  static supposing(revocation: Revocation): RevocationState {
    const supposed = new RevocationState({ base: true })
    supposed.#keep(revocation, 0)
    return supposed
  }

  #keep(revocation: Revocation, at: number): void {
    const { kind, target } = revocation
    const name = nameOf(kind, target)
    // By name: the first revocation holds for good. By match: the newest reaches furthest.
    if (!killsByName(kind) || !this.#byName.has(name)) this.#byName.set(name, { revocation, at })
  }

  /**
   * Forgets revocations by name that were made before `ms`, unless the named thing is still known. Agents routinely give back what they
   * have used, so memory must grow only with what is alive. The log keeps all of it. The caller must choose `ms` so that nothing named can
   * live that long.
   */
  forgetNamedBefore(ms: number, isKnown: (kind: RevocationKind, target: string) => boolean): void {
    for (const [name, { revocation, at }] of this.#byName) {
      const { kind, target, revocation_id } = revocation
      if (!killsByName(kind)) continue
      if (at >= ms) return // the others are newer
      if (isKnown(kind, target)) continue
      this.#byName.delete(name)
      this.#sequences.delete(revocation_id)
    }
  }

  find(kind: RevocationKind, target: string): Revocation | undefined {
    return this.#byName.get(nameOf(kind, target))?.revocation
  }

  /** A revocation's place in the sequence, once it was declared. */
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

/** Everything whose revocation kills a grant, a chain of sub-agents below it, or a credential of the last of them. */
export function lineageOf(
  { grant, heldBefore }: { grant: Grant; heldBefore: readonly { agent: string }[] },
  approvers: readonly string[],
  { credential, holders = [] }: { credential?: string; holders?: readonly Pick<Holder, 'id' | 'agent'>[] } = {},
): Lineage {
  return {
    ...(credential === undefined ? {} : { credential }),
    delegations: holders.filter(({ id }) => id !== grant.id).map(({ id }) => id),
    grants: [grant.id],
    // The agent that asked, and every later holder: a grant that moved on from a stopped agent is stopped with it.
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
/** There is only one `all`, and its target is ignored. Missing a stop because of a misspelt target would be the worst outcome. */
const nameOf = (kind: RevocationKind, target: string) => (kind === 'all' ? kind : `${kind} ${target}`)

/** The ids of an agent and its instance: revoking `spiffe://d/agent/x` also ends `spiffe://d/agent/x/instance-1`. */
const pathsOf = (spiffeId: string): string[] => [spiffeId, agentIdOf(spiffeId)]

function first<T, R>(items: readonly T[], find: (item: T) => R | undefined): R | undefined {
  for (const item of items) {
    const found = find(item)
    if (found !== undefined) return found
  }
  return undefined
}
