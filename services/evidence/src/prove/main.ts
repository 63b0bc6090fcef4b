import { readFileSync } from 'node:fs'
import { toProblem } from '@bailiwick/errors'
import { distinctName, parsePolicy, parseVkey } from '@bailiwick/tlog'
import { tell, tellMissing, tellValues } from './tell.ts'
import { type BundleReport, verifyBundleFile } from './verify-bundle.ts'

/** The process of `bailiwick verify BUNDLE`. It only reads these files and makes no connections. */
async function main([file = '', vkey = '', policyFile = '', root = '', json]: readonly string[]): Promise<number> {
  const log = parseVkey(vkey)
  const policy = policyFile === '' ? undefined : parsePolicy(readFileSync(policyFile))
  if (log === undefined || policy?.ok === false) throw new RangeError('no key of a log, or no policy')
  const by = { log, policy: policy?.policy, root: root === '' ? undefined : root }
  const { about, report } = await verifyBundleFile(readFileSync(file), by)
  for (const line of json === undefined ? linesOf(file, about, report) : [JSON.stringify(machine(report))])
    process.stdout.write(`${printable(line)}\n`)
  if (report.ok && !report.root_checked) process.stderr.write(`${notChecked(report.root)}\n`)
  return report.ok ? 0 : 1
}

const notChecked = (root: string) =>
  `THE ROOT KEY WAS NOT CHECKED: ${root} is what the bundle brought, and a stranger's bundle brings a stranger's. Compare it with the one that you were given, or pass that as --root.`

const softwareApprover =
  'SOFTWARE APPROVER: a program approved here, and no person (bailiwick dev). This proves nothing about people.'

function machine(report: BundleReport): object {
  if (!report.ok) return report
  const names = namesOf(report)
  const witnesses = report.witnesses.map(({ timestamp }, n) => ({ name: names[n], timestamp }))
  return { ...report, witnesses }
}

function namesOf({ witnesses }: Extract<BundleReport, { ok: true }>): string[] {
  const keys = witnesses.map(({ key }) => key)
  return keys.map((key) => distinctName(key, keys))
}

function linesOf(file: string, about: string, report: BundleReport): string[] {
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

/** Names come from agents, so they must not be able to control the terminal. */
function printable(line: string): string {
  return line.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`)
}

// A reader that stops early, such as `head`, is not an error.
process.stdout.on('error', () => undefined)
process.exitCode = await main(process.argv.slice(2)).catch((error: unknown) => {
  const { code, title, detail = title } = toProblem(error)
  process.stderr.write(`bailiwick: ${code === 'internal' ? String(error) : detail} (${code})\n`)
  return 2
})
