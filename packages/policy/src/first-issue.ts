import type { z } from 'zod'

/** Where a value first differs from what it should be, and how; of one that does as a whole, how. */
export function firstIssue({ issues: [issue] }: z.ZodError): string {
  const at = issue?.path.join('.') ?? ''
  return at === '' ? (issue?.message ?? 'not valid') : `${at}: ${issue?.message}`
}
