import type { FoldedEvents, Life } from './fold-events.ts'

/** One number of a report. */
export interface Measure {
  name: string
  value: string
  /** Information that is not in the number. */
  note?: string
  /** Present if the number has a required value: whether it has it. */
  ok?: boolean
  /** The items of docs/audit/controls.md that it supports. */
  serves: readonly string[]
}

/** The controls for which each number is evidence; docs/audit/controls.md lists the same, and a test compares the two. */
export const servedBy = {
  Approvals: ['ASI03', 'ASI09', 'NHI5', 'GOVERN 3.2', 'PR.AA'],
  'Median time to approve': ['ASI09', 'GOVERN 3.2'],
  'Denials by reason': ['ASI01', 'ASI02', 'ASI10', 'MEASURE 2.7', 'DE.CM'],
  'Standing access': ['ASI03', 'NHI1', 'NHI5', 'NHI7', 'PR.AA'],
  'Longest credential life': ['NHI7', 'ASI03', 'PR.AA'],
  'Longest grant': ['NHI5', 'NHI7', 'PR.AA'],
  'Revocation, from click to declared': ['ASI10', 'NHI1', 'MANAGE 2.4', 'RS.MI'],
  'Last ALLOW after a revocation': ['ASI08', 'ASI10', 'MANAGE 2.4', 'RS.MI'],
  'Effects not observed': ['ASI02', 'MAESTRO 5', 'MEASURE 3.1', 'DE.AE'],
  'Unreconciled outcomes': ['ASI02', 'ASI10', 'MAESTRO 5', 'MEASURE 3.1', 'DE.AE'],
  'Policy files changed on disk': ['ASI02', 'MAESTRO 6', 'PR.PS', 'DE.AE'],
  Gaps: ['MAESTRO 5', 'MAESTRO 6', 'MEASURE 3.1', 'PR.PS', 'DE.AE'],
  'Refused or unreadable events': ['MAESTRO 6', 'ASI07', 'DE.AE'],
} as const satisfies Record<string, readonly string[]>

type Name = keyof typeof servedBy

const count = (n: number) => n.toLocaleString('en-US')

/** The numbers of a period, in reading order. */
export function measuresOf(events: FoldedEvents): Measure[] {
  const { answers, standing, unreconciled, missing, findings, takenBack: taken } = events
  const denied = [...events.denials.values()].reduce((sum, n) => sum + n, 0)
  const strange = (findings.get('event.refused') ?? 0) + (findings.get('event.parked') ?? 0)
  const unrelayed = findings.get('outcome.unrelayed') ?? 0
  const contradicted = (findings.get('outcome.contradicted') ?? 0) + (findings.get('outcome.skipped') ?? 0)
  const files = findings.get('policy-files.changed') ?? 0
  const after = events.latestAllowAfterRevocation
  const measure = (name: Name, value: string, more: Pick<Measure, 'note' | 'ok'> = {}): Measure => ({
    name,
    value,
    ...more,
    serves: servedBy[name],
  })
  return [
    measure('Approvals', count(answers.approved), {
      note: `${count(answers.denied)} denied by people, ${count(answers.expired)} ran out, ${count(answers.cancelled)} taken back`,
    }),
    measure('Median time to approve', seconds(quantile(events.approvalSeconds, 0.5)), {
      note: `longest ${seconds(quantile(events.approvalSeconds, 1))}`,
    }),
    measure('Denials by reason', count(denied), {
      note: `${count(events.allowed)} decisions allowed${taken === 0 ? '' : `, ${count(taken)} allowed and taken back before anybody was answered`}${events.inProcess === 0 ? '' : `; ${count(events.inProcess)} outcomes are of points in the agent’s own process, which enforce nothing`}`,
    }),
    measure('Standing access', count(standing.length), {
      ok: standing.length === 0,
      note:
        standing.length === 0
          ? `${count(events.alive)} grants alive at the end, each with its end`
          : standing.slice(0, 5).join(', '),
    }),
    measure('Longest credential life', lifeOf(events.longestCredential), {
      note: `of ${count(events.credentials)} credentials; 600 s is the most that can be set`,
    }),
    measure('Longest grant', lifeOf(events.longestGrant), { note: '8 h is the most that a rule can allow' }),
    measure('Revocation, from click to declared', seconds(quantile(events.revocationSeconds, 0.5)), {
      note: `median; longest ${seconds(quantile(events.revocationSeconds, 1))}; ${count(events.revocations)} revocations`,
    }),
    measure('Last ALLOW after a revocation', `${count(after)} ms`, {
      ok: after <= 2000,
      note: 'of grants, by the times in the events; 1 s at most, 2 s where a decision point was cut off (V7)',
    }),
    measure('Effects not observed', count(events.notObserved), {
      note: 'allowed for a proxy that then acted by itself, each spent in full',
    }),
    measure('Unreconciled outcomes', count(unreconciled + missing + unrelayed + contradicted), {
      ok: unreconciled + missing + unrelayed + contradicted === 0,
      note: `${count(missing)} told to be missing, ${count(unreconciled)} overdue and not told, ${count(unrelayed)} that a decision point kept to itself, ${count(contradicted)} where an enforcement point contradicts itself or skips one`,
    }),
    measure('Policy files changed on disk', count(files), { ok: files === 0 }),
    measure('Gaps', count(findings.get('gap.detected') ?? 0), {
      ok: !findings.has('gap.detected'),
      note: `${count(events.gapNumbers)} events missing`,
    }),
    measure('Refused or unreadable events', count(strange), { ok: strange === 0 }),
  ]
}

/** The value that this share of them does not exceed; undefined if there are none. */
export function quantile(values: readonly number[], share: number): number | undefined {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)]
}

function lifeOf(life: Life | undefined): string {
  if (life === undefined) return '–'
  return life.ms === Number.POSITIVE_INFINITY ? 'without end' : seconds(life.ms / 1000)
}

function seconds(value: number | undefined): string {
  if (value === undefined) return '–'
  if (value < 120) return `${Number(value.toFixed(1))} s`
  return value < 7200 ? `${Math.round(value / 60)} min` : `${Number((value / 3600).toFixed(1))} h`
}
