import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { measureCredential } from './credential.ts'
import { measureDecisions } from './decisions.ts'
import { machineOf } from './machine.ts'
import type { Bench, Measure } from './measure.ts'
import { measurePublish } from './publish.ts'
import { asMarkdown, asText, type Report } from './report.ts'
import { measureWithdrawal } from './withdrawal.ts'

const measures: Record<string, (bench: Bench) => Promise<Measure>> = {
  publish: measurePublish,
  decisions: measureDecisions,
  credential: measureCredential,
  withdrawal: measureWithdrawal,
}

const usage = `bailiwick bench [--quick] [--json] [--write] [--dir DIR] [--only MEASURE]

Measures this machine and Bailiwick on it, as ratios in one run. Reports; asserts nothing.
  --quick         a smoke count: shows that the bench works
  --json          the report in JSON
  --write         writes docs/benchmarks.md
  --dir DIR       a folder on the disk to measure (default: ${tmpdir()})
  --only MEASURE  ${Object.keys(measures).join(', ')}; may be given more than once`

const values = parse()
if (values.help) {
  console.log(usage)
  process.exit(0)
}

const progress = (line: string) => void process.stderr.write(process.stderr.isTTY ? `\r${line}\u001b[K` : '')
const stage = (line: string) => void process.stderr.write(process.stderr.isTTY ? '' : `${line}\n`)

mkdirSync(values.dir, { recursive: true })
const dir = mkdtempSync(join(values.dir, 'bailiwick-bench-'))
try {
  const report: Report = { at: new Date().toISOString(), quick: values.quick, machine: machineOf(dir), measures: [] }
  for (const name of values.only) {
    const measure = measures[name]
    if (!measure) throw new Error(`--only ${name}: there is ${Object.keys(measures).join(', ')}`)
    stage(`measuring: ${name}`)
    const own = mkdtempSync(join(dir, `${name}-`))
    report.measures.push(await measure({ dir: own, quick: values.quick, progress }))
  }
  progress('')
  console.log(values.json ? JSON.stringify(report, undefined, 2) : asText(report))
  if (values.write) writeFileSync(join(import.meta.dirname, '../../docs/benchmarks.md'), asMarkdown(report))
} finally {
  rmSync(dir, { recursive: true, force: true })
}

function parse() {
  try {
    return parseArgs({
      options: {
        quick: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        write: { type: 'boolean', default: false },
        dir: { type: 'string', default: tmpdir() },
        only: { type: 'string', multiple: true, default: Object.keys(measures) },
        help: { type: 'boolean', default: false },
      },
    }).values
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n\n${usage}`)
    process.exit(2)
  }
}
