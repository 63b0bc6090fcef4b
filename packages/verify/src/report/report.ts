import type { Trust } from '@bailiwick/credentials'
import { parseVkey, type VerifierKey } from '@bailiwick/tlog'
import { readLog } from '../log/read-log.ts'
import type { LogSource } from '../log/source.ts'
import type { LogFault } from '../log/verify-log.ts'
import { FoldedEvents } from './fold-events.ts'
import type { ReportHead } from './html.ts'
import { type Measure, measuresOf } from './measures.ts'
import type { Spent } from './spending.ts'

export interface Report {
  ok: true
  head: ReportHead
  measures: readonly Measure[]
  /** By reason, the most frequent first. */
  denials: Record<string, number>
  /** Who spent how much, on what, and with whose approval: the largest amounts first. */
  spent: readonly Spent[]
  events: FoldedEvents
}

/**
 * The numbers of a log from `from` to `to`, ms since the epoch, both included. Every entry is verified first: a log with a fault has no
 * numbers. Throws as `verifyLog` does.
 */
export async function reportOf({
  source,
  trust,
  from,
  to,
}: {
  source: LogSource
  trust: Trust
  from: number
  to: number
}): Promise<Report | LogFault> {
  const events = new FoldedEvents(from, to)
  const log = await readLog({ source, vkey: parseVkey(trust.log.vkey) as VerifierKey }, ({ bytes }) =>
    events.add(bytes),
  )
  if (!log.ok) return log
  const { origin, size, root } = log.checkpoint
  const head: ReportHead = {
    installation: trust.installation,
    origin,
    size,
    root: Buffer.from(root).toString('base64'),
    from: new Date(from).toISOString(),
    to: new Date(to).toISOString(),
    singleOperator: trust.single_operator,
    softwareApprover: trust.software_approver === true,
  }
  const denials = Object.fromEntries([...events.denials].sort((a, b) => b[1] - a[1]))
  return { ok: true, head, measures: measuresOf(events), denials, spent: events.spent, events }
}
