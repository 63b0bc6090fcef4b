import type { Finding } from '@bailiwick/verify/audit'
import { audit } from '../audit.ts'
import type { GoodLog } from './good-log.ts'

/** The findings of the audit about a log, or about other leaves in its place. */
export async function findingsOf(log: GoodLog, leaves?: readonly Uint8Array[]): Promise<Finding[]> {
  log.write(leaves)
  return (await audit(log.at)).findings
}

/** Puts a draft at another position of the log, written by the service instance that ran then. */
export function move(log: GoodLog, name: string, before: string): void {
  log.draft(name).start = log.draft(before).start
  const all = [...log.drafts].filter(([each]) => each !== name)
  const at = all.findIndex(([each]) => each === before)
  all.splice(at, 0, [name, log.draft(name)])
  log.drafts.clear()
  for (const [each, draft] of all) log.drafts.set(each, draft)
}

/** An ALLOW of the story, for a forger. */
export const allowed = (log: GoodLog, name: string) => log.draft<'decisions.v1', 'decision.allowed'>(name)
