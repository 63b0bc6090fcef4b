import type { DecodedEvent, TopicName } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import { Chains } from './chains.ts'
import { Columns, inTurn, type Row, type RowReaders } from './cut/row.ts'
import { DecisionState } from './decision-state.ts'
import { GrantState } from './grant-state.ts'
import { type JudgeChange, RegistryState } from './registry-state.ts'
import { RequestState } from './request-state.ts'
import { RevocationState } from './revocation-state.ts'
import type { Verdict } from './verdict.ts'

/** A grant lives for at most 8 h from when it was shown. Readers look back one hour further. */
const longestLifeMs = 9 * 3600 * 1000

/**
 * All state there is, folded from the topics: the log is the arbiter (DESIGN §5). What counts depends on the topic alone, so every reader
 * that folds the same partitions in order reaches the same state.
 */
export class Ledger {
  readonly registry: RegistryState
  readonly requests: RequestState
  readonly grants: GrantState
  readonly revocations: RevocationState
  readonly decisions: DecisionState
  readonly chains = new Chains()
  /** ms since the epoch. What ended earlier is forgotten. */
  forgottenUpTo = 0

  /** `base`: the reader starts inside the topics (except the registry), and takes the first event that it meets as its base. */
  constructor(options: { judge: JudgeChange; base: boolean }) {
    this.registry = new RegistryState(options.judge)
    this.requests = new RequestState(options)
    this.grants = new GrantState(options)
    this.revocations = new RevocationState(options)
    this.decisions = new DecisionState(options)
  }

  /** Folds one event whose form and signature were verified. `takenAt`: when the bus took it, ms since the epoch. */
  async apply(topic: TopicName, event: DecodedEvent, takenAt?: number): Promise<Verdict> {
    switch (topic) {
      case 'registry.v1':
        return this.registry.apply(event as DecodedEvent<'registry.v1'>, takenAt)
      case 'approvals.v1':
        return this.requests.apply(event as DecodedEvent<'approvals.v1'>, takenAt)
      case 'grants.v1':
        return this.grants.apply(event as DecodedEvent<'grants.v1'>, takenAt)
      case 'revocations.v1':
        return this.revocations.apply(event as DecodedEvent<'revocations.v1'>, takenAt)
      case 'decisions.v1':
        return this.decisions.apply(event as DecodedEvent<'decisions.v1'>)
      default:
        return 'counts'
    }
  }

  /**
   * The state as it is now, without the registry, as rows that `restorer` takes. The state may change while they are being read. One cut at
   * a time: a new one gives up an earlier one. Read it to its end, or call `return`: until then the state keeps what it was.
   */
  cut(): IterableIterator<Row> {
    return inTurn(
      this.requests.cut(),
      this.grants.cut(),
      this.revocations.cut(),
      this.decisions.cut(),
      this.chains.cut(),
    )
  }

  /**
   * Takes the rows of a cut, one after the other, in their order. The ledger must be new, except for its registry and its chains. Throws
   * `invariant_broken` for a row that no cut has; then the ledger is of no use.
   */
  restorer(): (row: Row) => void {
    const readers: RowReaders = {
      ...this.requests.rowReaders,
      ...this.grants.rowReaders,
      ...this.revocations.rowReaders,
      ...this.decisions.rowReaders,
      chain: (columns) => this.chains.restore(columns),
    }
    return (row) => {
      const read = Object.hasOwn(readers, row[0]) ? readers[row[0]] : undefined
      if (read === undefined) throw new ServiceError('invariant_broken', `no cut has rows of kind ${row[0]}`)
      const columns = new Columns(row)
      read(columns)
      columns.end()
    }
  }

  /** Forgets what ended before `ms` and can never act again, so that memory grows only with what is alive. */
  forgetEndedBefore(ms: number): void {
    this.forgottenUpTo = Math.max(this.forgottenUpTo, ms)
    this.grants.forgetEndedBefore(ms)
    const { trees } = this.grants
    this.revocations.forgetNamedBefore(ms - longestLifeMs, (kind, target) =>
      kind === 'grant' ? trees.has(target) : kind === 'delegation' && this.grants.ofDelegation(target) !== undefined,
    )
    this.requests.forgetClosedBefore(ms)
    this.decisions.forget(ms, (root) => !this.grants.trees.has(root))
  }
}
