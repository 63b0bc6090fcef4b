import type { AuditReport } from './audit.ts'

/** An audit in lines for people: what is wrong first, how many events of each type there are, and the verdict last. */
export function auditLines(report: Omit<AuditReport, 'counting'>): string[] {
  const found = report.ok ? 'every one is as it must be' : `${report.findings.length} are NOT as they must be`
  return [
    ...report.findings.map(({ leaf, rule, detail }) => `${leaf < 0 ? 'the log' : `leaf ${leaf}`}: ${rule}: ${detail}`),
    ...Object.entries(report.counted)
      .sort()
      .map(([type, count]) => `${String(count).padStart(8)} ${type}`),
    ...report.gaps.map(
      ({ producer, from, to, successor }) =>
        `${producer}: ${from} to ${to} were never durable, if it was killed: ${successor} took over`,
    ),
    `${report.leaves} leaves, ${report.void} of them without effect: ${found}`,
    ...(report.software_approver
      ? ['SOFTWARE APPROVER: a program approved here, and no person. This proves nothing about people.']
      : []),
  ]
}
