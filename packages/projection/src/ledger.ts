import type { DecodedEvent, TopicName } from '@bailiwick/contracts'
import { Chains } from './chains.ts'
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

  /** Forgets what ended before `ms` and can never act again, so that memory grows only with what is alive. */
  forgetEndedBefore(ms: number): void {
    this.grants.forgetEndedBefore(ms)
    const { trees } = this.grants
    this.revocations.forgetNamedBefore(ms - longestLifeMs, (kind, target) =>
      kind === 'grant' ? trees.has(target) : kind === 'delegation' && this.grants.ofDelegation(target) !== undefined,
    )
    this.requests.forgetClosedBefore(ms)
    this.decisions.forget(ms, (root) => !this.grants.trees.has(root))
  }
}
