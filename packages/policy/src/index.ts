export { askCedar, type CedarAnswer, judge } from './ask-cedar.ts'
export { AuthZenPolicies, type PlainRequest, type PlainSearch, PolicySlot } from './authzen-policies.ts'
export {
  type CandidateAnswer,
  type CandidateLimits,
  CandidateThread,
  candidateLimits,
  type LoadedCandidate,
} from './candidate-thread.ts'
export { cedarEngine } from './cedar-engine.ts'
export { checkPolicies, type PolicyFinding } from './check-policies.ts'
export { CompiledPolicies, type NotAnswered, type Verdict } from './compiled/compiled-policies.ts'
export { type EngineDifference, type EngineTold, EngineWatch } from './compiled/engine-watch.ts'
export { oneIn } from './compiled/one-in.ts'
export { type DecisionSet, decisionSet } from './decision-set.ts'
export type { EntityName } from './entity-name.ts'
export { type BatchAnswer, evaluateBatchLine } from './evaluate-batch.ts'
export { type EachAnswer, evaluateEach } from './evaluate-each.ts'
export { parseExactJson } from './exact-json.ts'
export { type Explanation, explainPolicies } from './explain-policies.ts'
export { type Done, historyFacts } from './history-facts.ts'
export { historyIn, requireKnownHistory } from './known-history.ts'
export type {
  LoadPolicies,
  PolicyAnswer,
  PolicyEngine,
  PolicyExplanation,
  PolicyRequest,
  Purpose,
} from './policy-engine.ts'
export { type Duties, dutiesOf } from './policy-obligations.ts'
export { contextReads } from './policy-reads.ts'
export {
  type Finding,
  loadPolicySet,
  type Policy,
  type PolicySet,
  parsePolicySet,
  readPolicyDirectory,
  validatePolicySet,
} from './policy-set.ts'
export { readPolicyDirectoryAside } from './policy-set-thread.ts'
export { type PolicyTest, readPolicyTests, type TestResult, testPolicies } from './policy-tests.ts'
export { type Preparsed, preparse } from './preparse.ts'
export { type Did, type RecordedAnswer, type RecordedQuestion, RecordedTrial } from './recorded-trial.ts'
export { hasPermit, type PermitsNothing, requirePermit } from './require-permit.ts'
export { type Shape, type Shapes, shapesOf } from './schema-shapes.ts'
export { readRequest } from './trial-request.ts'
