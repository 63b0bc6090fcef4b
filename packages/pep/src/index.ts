export {
  type Action,
  generateKey,
  type PublicJwk,
  parseTrust,
  publicKeyOf,
  readKeyFile,
  type SigningKey,
  type Trust,
  writeKeyFile,
} from '@bailiwick/credentials'
export { type ErrorCode, errorCode, ServiceError } from '@bailiwick/errors'
export { type Owed, redactBytes } from './answer.ts'
export type { BudgetLeft, Planned } from './budget.ts'
export { cutReasonOf } from './call-life.ts'
export type { MappedAction, Observed } from './decision.ts'
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
export type { PointFetch, PointResponse } from './point-fetch.ts'
export { type Presented, readPresented } from './presented.ts'
export {
  type AccessRequestOffer,
  challengeError,
  challengeOf,
  headersOfRefusal,
  type PointReason,
  problemOfRefusal,
  type Refusal,
  refusal,
  remedyOf,
  retryAfterOf,
} from './refusal.ts'
export type { Round } from './round.ts'
export type { Found, Search } from './search.ts'
