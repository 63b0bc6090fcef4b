import type { ErrorCode } from '@bailiwick/errors'
import type { z } from 'zod'

/** A refusal, as a value. `detail` says which check failed and never repeats the input (V17). */
export interface Refused {
  readonly ok: false
  readonly code: ErrorCode
  readonly detail: string
}

/** The result of every `verify…`: the signed content, or why it does not count. Hostile input never throws. */
export type Verified<T> = { readonly ok: true; readonly value: T } | Refused

export function refused(code: ErrorCode, detail: string): Refused {
  return { ok: false, code, detail }
}

/** Where a value violated its schema: the path and the rule, without the value. */
export function schemaDetail(error: z.ZodError): string {
  const issue = error.issues[0]
  return issue === undefined ? 'not as its schema says' : `${issue.path.join('.')}: ${issue.code}`
}
