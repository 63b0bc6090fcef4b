/**
 * The steps of a decision without the service around them, for tests that play histories through them (test/reference) and bring their
 * own ledger, clock and store. All other callers start the service.
 */
export type { Pdp } from './context.ts'
export { type Answer, decide } from './decide.ts'
export { Denials } from './denials.ts'
export { reportOutcome, sweepMissing } from './outcomes.ts'
export { OutcomesInHand } from './outcomes-in-hand.ts'
export { type ActivePolicies, activePolicies } from './policies.ts'
export { StepUps } from './step-ups.ts'
export { TreeQueues } from './tree-queue.ts'
export { UnderWay } from './under-way.ts'
