import type { ErrorCode } from './error-kinds.ts'

/** Why these bytes ask for no action. The code names the rule (docs/reference/errors.md); `detail` quotes nothing of the request. */
export interface Refused {
  readonly refused: ErrorCode
  readonly detail: string
}
