import type { Refused } from '@bailiwick/credentials'
import type { ErrorCode } from '@bailiwick/errors'

/** `detail` is our own text: it never repeats input (V17). */
export function refused(code: ErrorCode, detail: string): Refused {
  return { ok: false, code, detail }
}
