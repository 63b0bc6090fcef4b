import type { SigningKey, Trust } from '@bailiwick/credentials'
import type { GrantStore } from '@bailiwick/grant-store'
import type { Logger } from '@bailiwick/host'
import type { Draft, Participant, Projection, Published } from '@bailiwick/instance'
import type { Clock, RandomSource } from '@bailiwick/kit'
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

// What the parts of a decision are given. Each part names the few that it needs; start.ts makes them.

export interface Clocked {
  clock: Clock
  random: RandomSource
}

export interface Logged {
  logger: Logger
}

/** What the events say, and which keys they are verified by. */
export interface State {
  projection: Projection
  keyRing: Participant['keyRing']
  trust: Trust
  /** The PDP's outside address. */
  publicUrl: string
}

/** What this PDP judges for itself. */
export interface Judges {
  policies: ActivePolicies
  approvals: Approvals
  stepUps: StepUps
  proofs: Proofs
  /** A candidate set that is asked as well. Its answers have no effect. */
  shadow: Pick<Shadow, 'candidate' | 'prepare' | 'ask'>
}

export interface Signing {
  permitKey: SigningKey<'permit'>
  /** Signs the binding token of a requestable denial, which says what was denied. */
  bindingKey: SigningKey<'binding-token'>
}

/** Makes decisions durable and says which count. The bench wires one that does not make them durable. */
export type RecordDecisions = (drafts: readonly Draft<'decisions.v1'>[]) => Promise<Published[]>

export interface Recording {
  record: RecordDecisions
  newEventId: () => string
  grantStore: GrantStore
}

export interface Admission {
  /** Calls that wait to be begun, by credential. */
  intake: Intake
  /** Calls under way, by agent without instance. */
  agents: UnderWay
  quotas: Pick<Quotas, 'take'>
  /** Folds `decisions.v1` up to its current end: what an agent did in other tasks, decided by any instance. */
  catchUp: CatchUp
  decisionDeadlineMs: number
}

/** What an ALLOW demands. */
export interface Allowing {
  outcomeSeconds: number
  /** Present if the installation wants calls kept. */
  keptCalls?: Pick<KeptCalls, 'takes' | 'keep'> | undefined
}
