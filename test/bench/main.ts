import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { removeAtEnd } from '@bailiwick/native'
import { missingParts } from '@bailiwick/testkit'
import { measureChecks } from './checks.ts'
import { measureDecisions } from './decisions.ts'
import { measureEvidence } from './evidence.ts'
import { measureGateway } from './gateway.ts'
import { measureGatewayHttp, measureGatewayModels } from './gateway-upstreams.ts'
import { measureIssuance } from './issuance.ts'
import { measureKafkaDecisions } from './kafka/decisions.ts'
import { measureKafkaGateway } from './kafka/gateway.ts'
import { measureKafkaMemory } from './kafka/memory.ts'
import { measureKafkaPublish } from './kafka/publish.ts'
import { measureKafkaRevocations } from './kafka/revocations.ts'
import { measureKafkaSizing } from './kafka/sizing.ts'
import { measureKafkaStartup } from './kafka/startup.ts'
import { type KafkaBench, Worlds } from './kafka/worlds.ts'
import { machineOf } from './machine.ts'
import type { Measure } from './measure.ts'
import { measureMemory } from './memory.ts'
import { measureOutcomes } from './outcomes.ts'
import { measurePdp } from './pdp.ts'
import { measurePolicies } from './policies.ts'
import { measurePublish } from './publish.ts'
import { asMarkdown, asText, type Report } from './report.ts'
import { kinds, measureRevocations } from './revocations.ts'
import { measureSizing } from './sizing.ts'
import { measureStart } from './start.ts'

interface Entry {
  measure: (bench: KafkaBench) => Promise<Measure>
  /** Measured only by its name or by `--all`: it needs more programs, or more time. */
  isNamed?: true
  /** For `--all`, which must end within half an hour. */
  inAll?: { count?: number; seconds?: number }
}
type Measures = Readonly<Record<string, Entry>>

const embedded: Measures = {
  publish: { measure: measurePublish },
  decisions: { measure: measureDecisions },
  outcomes: { measure: measureOutcomes, inAll: { seconds: 20 } },
  evidence: { measure: measureEvidence },
  policies: { measure: measurePolicies },
  pdp: { measure: measurePdp, inAll: { count: 10_000 } },
  gateway: { measure: measureGateway, inAll: { count: 200 } },
  'gateway-http': { measure: measureGatewayHttp, isNamed: true },
  'gateway-models': { measure: measureGatewayModels, isNamed: true },
  revocations: { measure: measureRevocations, inAll: { seconds: 10 } },
  sizing: { measure: measureSizing },
  issuance: { measure: measureIssuance },
  checks: { measure: measureChecks },
  start: { measure: measureStart, isNamed: true, inAll: { count: 50_000 } },
  memory: { measure: measureMemory, isNamed: true, inAll: { count: 10_000 } },
}
/** In the order in which they can share a system: the later ones stop instances. */
const kafka: Measures = {
  publish: { measure: measureKafkaPublish },
  revocations: { measure: measureKafkaRevocations, inAll: { seconds: 10 } },
  memory: { measure: measureKafkaMemory, inAll: { count: 20_000 } },
  decisions: { measure: measureKafkaDecisions },
  gateway: { measure: measureKafkaGateway },
  sizing: { measure: measureKafkaSizing },
  startup: { measure: measureKafkaStartup, inAll: { count: 50_000 } },
}

const usage = `bailiwick bench [MEASURE…] [--kafka] [--quick] [--json] [--write] [--dir DIR] [--only MEASURE]

Measures this machine and Bailiwick on it, as ratios in one run. Reports; asserts nothing. \`bailiwick bench log\` writes a log and
leaves it to be checked (\`bailiwick bench log --help\`).
  --all           everything that is measured, embedded and on Kafka, with counts that end within half an hour:
                  \`npm run bench\` is this
  --kafka         on a real Kafka, of one broker and of three, and a real Redis, with a process for each service; they are
                  started for it
  --quick         a smoke count: shows that the bench works
  --http          with gateway: as gateway-http, in front of an HTTP API, beside nginx or a bare relay
  --models        with gateway: as gateway-models, in front of models, beside nginx or a bare relay, and LiteLLM's proxy if it is given
  --litellm FILE  the program litellm of that proxy: pip install 'litellm[proxy]'
  --kind KIND     what is revoked; any number of them: ${kinds.join(', ')}.
                  All unless given; of others the page keeps what it has
  --seconds N     of outcomes: for how long calls fall due (60). Begins no revocation of a kind after so many, however few there were; the page says how many
  --count N       revocations of each kind (2,000); of outcomes: calls a second (500); of pdp: decisions that its memory is watched over (20,000); of start and memory: decisions before it (100,000); of gateway: agents with ten open streams (1,000, or as many as the descriptors allow)
  --json          the report in JSON
  --write         writes what it measured into docs/explain/benchmarks.md; other sections stay
  --dir DIR       a folder on the disk to measure (default: ${tmpdir()})
  --only MEASURE  as MEASURE by itself; any number of them: ${Object.keys(embedded).join(', ')};
                  with --kafka ${Object.keys(kafka).join(', ')}`

const values = parse()
if (values.help) {
  console.log(usage)
  process.exit(0)
}

const measures = values.kafka ? kafka : embedded
/** The measures of this run, by name. */
const chosen: [string, Entry][] = values.all
  ? [
      ...Object.entries(embedded),
      ...Object.entries(kafka).map(([name, entry]): [string, Entry] => [`kafka ${name}`, entry]),
    ]
  : Object.entries(measures).filter(([name, { isNamed }]) => values.only?.includes(name) ?? !isNamed)
const count = positive('count')
const seconds = positive('seconds')
for (const kind of values.kind ?? []) if (!kinds.includes(kind)) refuse(`--kind ${kind}: there is ${kinds.join(', ')}`)
for (const name of values.only ?? [])
  if (!Object.hasOwn(measures, name)) refuse(`${name}: there is ${Object.keys(measures).join(', ')}`)
const documented = join(import.meta.dirname, '../../docs/explain/benchmarks.md')

if (values.all && (values.kafka || values.only)) refuse('--all is everything: give neither --kafka nor a measure')
if (values.kafka || values.all) {
  const missing = await missingParts('kafka', 'redis')
  for (const part of missing) console.error(part)
  if (missing.length > 0) process.exit(1)
}

const progress = (line: string) => void process.stderr.write(process.stderr.isTTY ? `\r${line}\u001b[K` : '')
const stage = (line: string) => void process.stderr.write(process.stderr.isTTY ? '' : `${line}\n`)

mkdirSync(values.dir, { recursive: true })
const dir = mkdtempSync(join(values.dir, 'bailiwick-bench-'))
removeAtEnd(dir) // also on SIGINT and SIGTERM
try {
  const report: Report = { at: new Date().toISOString(), quick: values.quick, machine: machineOf(dir), measures: [] }
  await using worlds = new Worlds({ shared: values.quick })
  const open: KafkaBench['open'] = (nodes, env) => worlds.open(nodes, env)
  const keep = (measure: Measure) => {
    report.measures = [...report.measures.filter(({ id }) => id !== measure.id), measure]
    if (values.write) writeFileSync(documented, asMarkdown(report, readFileSync(documented, 'utf8')))
  }
  const { quick, kind: kinds, litellm } = values
  for (const [name, { measure, inAll = {} }] of chosen) {
    stage(`measuring: ${name}`)
    const started = performance.now()
    const own = mkdtempSync(join(dir, `${name.replace(' ', '-')}-`))
    const most = values.all && !quick ? inAll : {}
    const bench = { dir: own, quick, count, seconds, ...most, litellm, kinds, progress, stage, keep, open }
    try {
      keep(await measure(bench))
    } catch (error) {
      if (!values.all) throw error
      console.error(error) // the others are still worth their minutes
      process.exitCode = 1
    }
    stage(`  after ${Math.round((performance.now() - started) / 1000)} s`)
  }
  progress('')
  console.log(values.json ? JSON.stringify(report, undefined, 2) : asText(report))
} finally {
  rmSync(dir, { recursive: true, force: true })
}

function positive(name: 'count' | 'seconds'): number | undefined {
  const given = values[name]
  if (given === undefined) return undefined
  const number = Number(given)
  return Number.isInteger(number) && number > 0 ? number : refuse(`--${name} ${given}: 1 or more`)
}

function parse() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        all: { type: 'boolean', default: false },
        kafka: { type: 'boolean', default: false },
        quick: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        write: { type: 'boolean', default: false },
        dir: { type: 'string', default: tmpdir() },
        only: { type: 'string', multiple: true },
        http: { type: 'boolean', default: false },
        models: { type: 'boolean', default: false },
        litellm: { type: 'string' },
        count: { type: 'string' },
        seconds: { type: 'string' },
        kind: { type: 'string', multiple: true },
        help: { type: 'boolean', default: false },
      },
    })
    const fronts = [...(values.http ? ['gateway-http'] : []), ...(values.models ? ['gateway-models'] : [])]
    const wanted = [...(values.only ?? []), ...positionals]
    const only = fronts.length === 0 ? wanted : [...wanted.filter((name) => name !== 'gateway'), ...fronts]
    return { ...values, only: only.length === 0 ? undefined : only }
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error))
  }
}

function refuse(why: string): never {
  console.error(`bailiwick: ${why} (bailiwick bench --help tells more)`)
  process.exit(2)
}
