import type { Refused } from '@bailiwick/credentials'
import type { ErrorCode } from '@bailiwick/errors'

/** `detail` is ours: it never repeats what was sent (V17). */
export function refused(code: ErrorCode, detail: string): Refused {
  return { ok: false, code, detail }
}
