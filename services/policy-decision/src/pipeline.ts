/**
 * The steps of a decision without the service around them, for tests that play histories through them (test/reference) and bring their
 * own ledger, clock and store. All other callers start the service.
 */
export type { Answer } from './answer.ts'
export { type Deciding, decide } from './decide.ts'
export { TreeQueues } from './order/tree-queue.ts'
export { UnderWay } from './order/under-way.ts'
export { reportOutcome, sweepMissing } from './outcomes/outcomes.ts'
export { OutcomesInHand } from './outcomes/outcomes-in-hand.ts'
export type { Recording } from './ports.ts'
export { Denials } from './record/denials.ts'
export { type ActivePolicies, activePolicies } from './state/policies.ts'
export { StepUps } from './state/step-ups.ts'
