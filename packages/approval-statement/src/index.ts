export { askingKey } from './asking-key.ts'
export type { AuthorizationCheck, FirstChange, GovernedView, TakenRecovery } from './authorization-check.ts'
export {
  type ApprovalFacts,
  buildApprovalStatement,
  buildRegistryStatement,
  buildStepUpStatement,
  type RegistryFacts,
  type StepUpFacts,
} from './build-statement.ts'
export { type ChangeContent, contentProblem, onlyObjects } from './change-content.ts'
export { changeEffect, type EntityEffect } from './change-effect.ts'
export { passkeyAlgorithms } from './cose-key.ts'
export { beyondEmergency, emergencyInstance, isEmergency, longestEmergencyMs } from './emergency.ts'
export { grantOf, verifyGrantContent } from './grant-of.ts'
export { matchRule, type RuleView, registryRuleId } from './match-rule.ts'
export { mustShowArguments, ofOlderLogs } from './must-show.ts'
export {
  bringsSecond,
  type ChangedEntity,
  type Governors,
  type PeopleNeeded,
  peopleNeededFor,
  type WhyPeople,
} from './people-needed.ts'
export { type Item, splitByRule, staysWithin } from './split-by-rule.ts'
export {
  changeRequestId,
  grantIdOf,
  groupHash,
  itemIdOf,
  policySetHash,
  requestIdOf,
  statementChallenge,
  statementHash,
} from './statement-hash.ts'
export { countsCost, labelsOfTool, toolServerOf } from './tool-labels.ts'
export { type ApprovalCheck, type RegistryView, verifyApproval } from './verify-approval.ts'
export {
  type AssertionCheck,
  type ChallengeCheck,
  type PasskeyRecord,
  verifyAssertion,
  verifyChallenge,
} from './verify-assertion.ts'
export { verifyAuthorization } from './verify-authorization.ts'
export { recoveryDelayMs } from './verify-enrolment.ts'
export { type RegisteredPasskey, verifyRegistration } from './verify-registration.ts'
export { type ApprovalTrust, verifySigners } from './verify-signers.ts'
export { effectOf, longestStepUpMs, ruleOfGrant, type StepUpCheck, verifyStepUp } from './verify-step-up.ts'
