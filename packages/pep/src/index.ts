export type { Owed } from './answer.ts'
export type { Observed } from './decision.ts'
export {
  type Call,
  type Effect,
  type EnforcementPoint,
  type EnforcementPointOptions,
  type Guarded,
  openEnforcementPoint,
  type Permitted,
} from './enforcement-point.ts'
export { type BailiwickPepOptions, bailiwickPep, type GuardedHandler } from './fastify.ts'
export type { Notify } from './obligations.ts'
export { fileOutcomeStore, memoryOutcomeStore, type OutcomeState, type OutcomeStore } from './outcome-store.ts'
export { type AccessRequestOffer, type PointReason, problemOfRefusal, type Refusal } from './refusal.ts'
