import type { SigningKey, Trust } from '@bailiwick/credentials'
import type { GrantStore } from '@bailiwick/grant-store'
import type { Logger } from '@bailiwick/host'
import type { Clock, RandomSource } from '@bailiwick/kit'
import type { Draft, Participant, Projection, Published } from '@bailiwick/projection'
import type { CatchUp } from './order/catch-up.ts'
import type { Intake } from './order/intake.ts'
import type { Quotas } from './order/quotas.ts'
import type { UnderWay } from './order/under-way.ts'
import type { KeptCalls } from './record/kept-calls.ts'
import type { Shadow } from './shadow/shadow.ts'
import type { Approvals } from './state/approvals.ts'
import type { ActivePolicies } from './state/policies.ts'
import type { Proofs } from './state/proofs.ts'
import type { StepUps } from './state/step-ups.ts'

/** Makes decisions durable and says which count. The bench wires one that does not make them durable. */
export type RecordDecisions = (drafts: readonly Draft<'decisions.v1'>[]) => Promise<Published[]>

/** The dependencies of the decision pipeline. */
export interface Pdp {
  keyRing: Participant['keyRing']
  projection: Projection
  record: RecordDecisions
  /** Folds `decisions.v1` up to its current end: what an agent did in other tasks, decided by any instance. */
  catchUp: CatchUp
  newEventId: () => string
  trust: Trust
  permitKey: SigningKey<'permit'>
  /** Signs the binding token of a requestable denial, which says what was denied. */
  bindingKey: SigningKey<'binding-token'>
  publicUrl: string
  grantStore: GrantStore
  policies: ActivePolicies
  /** A candidate set that is asked as well. Its answers have no effect. */
  shadow: Pick<Shadow, 'candidate' | 'prepare' | 'ask'>
  approvals: Approvals
  stepUps: StepUps
  /** Present if the installation wants calls kept. */
  keptCalls?: Pick<KeptCalls, 'takes' | 'keep'> | undefined
  proofs: Proofs
  /** Calls that wait to be begun, by credential. */
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
