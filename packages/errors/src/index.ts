export {
  type DenialReason,
  denialReasons,
  isDenialReason,
  isRequestable,
  isReserved,
  mayHaveActed,
  retrySecondsOf,
} from './denial-reasons.ts'
export { type ErrorCode, errorGroups, errorKinds } from './error-kinds.ts'
export type { Refused } from './refused.ts'
export { errorCode, type Problem, ServiceError, toProblem } from './service-error.ts'
