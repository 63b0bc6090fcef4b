export { cedarEngine } from './cedar-engine.ts'
export type { PolicyAnswer, PolicyEngine, PolicyRequest } from './policy-engine.ts'
export {
  type Finding,
  loadPolicySet,
  type Policy,
  type PolicySet,
  parsePolicySet,
  readPolicyDirectory,
  validatePolicySet,
} from './policy-set.ts'
