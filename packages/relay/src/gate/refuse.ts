import type { ErrorCode } from '@bailiwick/errors'
import type { Refused } from '../upstream.ts'

/** `detail` says which part is wrong, without quoting it. */
export const refuse = (refused: ErrorCode, detail: string): Refused => ({ refused, detail })
