import type { z } from 'zod'

/** Where and how a value first differs from its schema; if the value differs as a whole, only how. */
export function firstIssue({ issues: [issue] }: z.ZodError): string {
  const at = issue?.path.join('.') ?? ''
  return at === '' ? (issue?.message ?? 'not valid') : `${at}: ${issue?.message}`
}
