export type {
  AuthZenCaller,
  AuthZenDecider,
  AuthZenDecision,
  AuthZenEvaluation,
  AuthZenFound,
  AuthZenSearch,
  AuthZenSession,
  JsonObject,
} from './decider.ts'
export { authZenEndpoints, obligationsGiven } from './metadata.ts'
export { isSupported, least, spellObligations, stepUpObligation } from './obligations.ts'
export { PageTokens } from './page-tokens.ts'
export { authZenRoutes, callerOf, sendJson } from './routes.ts'
export { watchEngines } from './watch-engines.ts'
