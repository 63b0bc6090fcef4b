import type { SigningKey, Trust } from '@bailiwick/credentials'
import type { GrantStore } from '@bailiwick/grant-store'
import type { Draft, Participant, Projection, Published } from '@bailiwick/projection'
import type { Clock, Logger, RandomSource } from '@bailiwick/service-kit'
import type { Approvals } from './approvals.ts'
import type { CatchUp } from './catch-up.ts'
import type { Intake } from './intake.ts'
import type { KeptCalls } from './kept-calls.ts'
import type { ActivePolicies } from './policies.ts'
import type { Proofs } from './proofs.ts'
import type { Quotas } from './quotas.ts'
import type { Shadow } from './shadow.ts'
import type { StepUps } from './step-ups.ts'
import type { UnderWay } from './under-way.ts'

/** Makes decisions durable and says which count; the bench wires one that does not. */
export type RecordDecisions = (drafts: readonly Draft<'decisions.v1'>[]) => Promise<Published[]>

/** What the decision pipeline works with. */
export interface Pdp {
  keyRing: Participant['keyRing']
  projection: Projection
  record: RecordDecisions
  /** Folds `decisions.v1` up to its end of now: what an agent did in other tasks, by whichever instance. */
  catchUp: CatchUp
  newEventId: () => string
  trust: Trust
  permitKey: SigningKey<'permit'>
  /** Signs what a requestable denial was about. */
  bindingKey: SigningKey<'binding-token'>
  publicUrl: string
  grantStore: GrantStore
  policies: ActivePolicies
  /** A candidate beside them, whose answers count for nothing. */
  shadow: Pick<Shadow, 'candidate' | 'prepare' | 'ask'>
  approvals: Approvals
  stepUps: StepUps
  /** Where the installation wants calls kept. */
  keptCalls?: Pick<KeptCalls, 'takes' | 'keep'> | undefined
  proofs: Proofs
  /** Where calls wait to be begun, by credential. */
  intake: Intake
  /** Calls under way, by agent without instance. */
  agents: UnderWay
  quotas: Pick<Quotas, 'take'>
  decisionDeadlineMs: number
  outcomeSeconds: number
  clock: Clock
  random: RandomSource
  logger: Logger
}
