import { distinctName } from '@bailiwick/tlog'
import { tell, tellMissing, tellValues } from './tell.ts'
import type { BundleReport } from './verify-bundle.ts'

export const rootNotChecked = (root: string) =>
  `THE ROOT KEY WAS NOT CHECKED: ${root} is what the bundle brought, and a stranger's bundle brings a stranger's. Compare it with the one that you were given, or pass that as --root.`

const softwareApprover =
  'SOFTWARE APPROVER: a program approved here, and no person (bailiwick dev). This proves nothing about people.'

/** The report for machines: witnesses by name. */
export function bundleJson(report: BundleReport): object {
  if (!report.ok) return report
  const names = namesOf(report)
  const witnesses = report.witnesses.map(({ timestamp }, n) => ({ name: names[n], timestamp }))
  return { ...report, witnesses }
}

/** The report for people, who may never have heard of Bailiwick. Names and texts in it come from agents. */
export function bundleLines(file: string, about: string, report: BundleReport): string[] {
  if (!report.ok) {
    const entry = report.index === undefined ? '' : `, entry ${report.index}`
    const detail = report.detail === undefined ? [] : [`  ${report.detail}`]
    return [`${file}: proves NOTHING (${report.reason}${entry})`, ...detail]
  }
  const by = namesOf(report).join(', ')
  return [
    `${file}: proved. The story of ${about}, from the log ${report.origin} of ${report.size} entries, cosigned by ${by || 'none of the witnesses that you named'}:`,
    ...report.steps.flatMap((step) => [tell(step), ...tellValues(step)]),
    ...tellMissing(report.steps),
    `Every signature holds, and leads back to the root key ${report.root}, ${report.root_checked ? 'which is the one that you trust' : 'which only the bundle names'}.`,
    ...(report.software_approver ? [softwareApprover] : []),
    'A bundle cannot show that nothing else happened: a withdrawal, a stricter rule that was registered later, a person or a key that was retired.',
  ]
}

function namesOf({ witnesses }: Extract<BundleReport, { ok: true }>): string[] {
  const keys = witnesses.map(({ key }) => key)
  return keys.map((key) => distinctName(key, keys))
}
