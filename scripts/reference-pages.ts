import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { generatedFrom, table } from '@bailiwick/contracts/generate'
import { type DescribedSetting, describedSettings } from '@bailiwick/host'
import type { z } from 'zod'
import { callsIn, keysOf, listOf, type SourceCall, textOf } from './source-calls.ts'

const root = join(import.meta.dirname, '..')
const sources = globSync('{packages,services}/*/src/**/*.ts', { cwd: root })
  .filter((path) => !/\.(test|fixture|contract)\.ts$|^packages\/testkit\//.test(path))
  .toSorted()
  .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }))

const page = (...parts: readonly string[]): string => `${parts.join('\n\n')}\n`

// Settings

const everything = 'all in one'
/** The processes that read settings, by the file of their schema. */
const nameOf = (path: string): string => {
  const [, service = ''] = /^services\/([^/]+)\/src\/config\.ts$/.exec(path) ?? []
  if (service === 'standalone') return everything
  return service === 'plain-pdp' ? '`--plain`' : service
}
const gateway = 'gateway'
const processes = [everything, 'approval', 'issuer', 'policy-decision', 'evidence', '`--plain`', gateway]

interface SettingRow extends DescribedSetting {
  readers: string[]
  defaults: Map<string, string>
}

async function settingRows(): Promise<SettingRow[]> {
  const files = globSync('services/*/src/config.ts', { cwd: root })
  const schemas = new Map<string, z.ZodObject>()
  for (const file of files) schemas.set(nameOf(file), (await import(join(root, file))).configSchema)
  // What a setting does may differ by process: then it has a row for each.
  const rows = new Map<string, SettingRow>()
  for (const reader of processes) {
    const schema = schemas.get(reader)
    if (schema === undefined) throw new Error(`no settings of ${reader}`)
    for (const setting of describedSettings(schema)) {
      const key = `${setting.name} ${setting.does}`
      const row: SettingRow = rows.get(key) ?? { ...setting, readers: [], defaults: new Map() }
      row.readers.push(reader)
      if (setting.default !== undefined) row.defaults.set(reader, setting.default)
      rows.set(key, row)
    }
  }
  return [...rows.values()]
}

const isOf =
  (...readers: string[]) =>
  (row: SettingRow) =>
    row.readers.filter((reader) => reader !== everything && (reader !== gateway || row.readers.length === 1)).join() ===
    readers.join()

const settingSections: readonly (readonly [string, (row: SettingRow) => boolean])[] = [
  ['Every process', isOf('approval', 'issuer', 'policy-decision', 'evidence', '`--plain`')],
  ['The four services', isOf('approval', 'issuer', 'policy-decision', 'evidence')],
  ['Approval', isOf('approval')],
  ['Issuer', isOf('issuer')],
  ['Decision point', isOf('policy-decision')],
  ['Every decision point', isOf('policy-decision', '`--plain`')],
  ['Evidence', isOf('evidence')],
  ['The plain decision point', isOf('`--plain`')],
  ['MCP gateway', isOf(gateway)],
  ['All in one', isOf()],
]

function defaultOf({ required, defaults }: SettingRow): string {
  if (required) return '**required**'
  const values = new Set(defaults.values())
  if (values.size <= 1) return [...values].map((value) => `\`${value}\``).join('') || '–'
  return [...defaults].map(([reader, value]) => `\`${value}\` (${reader})`).join(', ')
}

const settingTable = (rows: readonly SettingRow[]): string =>
  table(
    ['Setting', 'Default', 'What it does', 'Example'],
    rows.map((row) => [`\`${row.name}\``, defaultOf(row), row.does, `\`${row.example}\``]),
  )

const notByAll = (rows: readonly SettingRow[]): string => {
  const alone = rows.filter(
    ({ readers }) => readers.length === 1 && !['`--plain`', gateway, everything].includes(readers[0] ?? ''),
  )
  return alone.map(({ name, readers }) => `\n\nOnly ${readers[0]} as a process of its own reads \`${name}\`.`).join('')
}

/** Every environment variable that a process reads. */
export async function settingsPage(): Promise<string> {
  const rows = await settingRows()
  const lost = rows.filter((row) => settingSections.every(([, holds]) => !holds(row))).map(({ name }) => name)
  if (lost.length > 0) throw new Error(`no section of the settings page has ${lost.join(', ')}`)
  return page(
    '# Settings',
    generatedFrom('the schemas of settings (`config.ts` of each service, packages/host/src/settings)'),
    'A process reads its settings from environment variables. An empty variable counts as absent. A misspelt `BAILIWICK_…` ends the start with `config_invalid`, which names the nearest setting; a setting of another process is ignored.\n`bailiwick serve` and `npm start` run all four services in one process, which reads the settings of all of them. `bailiwick serve SERVICE` runs one.\nThe gateway also reads the settings of every process, except those of the bus, the grant store and the keys.',
    ...settingSections.flatMap(([title, holds]) => {
      const mine = rows.filter(holds)
      return [`## ${title}`, `${settingTable(mine)}${notByAll(mine)}`]
    }),
    '## Other programs',
    '- `bailiwick witness` reads `BAILIWICK_HOST`, `BAILIWICK_PORT` (8426), `BAILIWICK_TLS`, `BAILIWICK_METRICS` and `BAILIWICK_LOG_LEVEL`.\n- `bailiwick kafka` reads `BAILIWICK_BUS`, `BAILIWICK_KAFKA_CA`, `BAILIWICK_KAFKA_USER` (`admin`), `BAILIWICK_KAFKA_PASSWORD_FILE` and `BAILIWICK_DEV`.\n- `bailiwick status` reads `BAILIWICK_SERVICES`.\n- `bailiwick dev` takes options instead, and writes variables for the programs that you test: [test without a person](../start/dev.md).\n- Files that hold secrets must be readable by their owner only: [who may read a secret file](../operate/keys.md#who-may-read-a-secret-file).',
  )
}

// Metrics and log lines

const partsInOrder = [
  'every process',
  'approval',
  'issuer',
  'policy-decision',
  '`--plain`',
  'evidence',
  'standalone',
  gateway,
  'witness',
]

/** The process in which a source runs, as far as its folder says. */
const partOf = (path: string): string => {
  const [, kind, name = ''] = /^(packages|services)\/([^/]+)\//.exec(path) ?? []
  if (kind === 'services') return name === 'plain-pdp' ? '`--plain`' : name
  if (name === 'authzen') return 'policy-decision'
  return path.startsWith('packages/cli/src/') && path.includes('witness') ? 'witness' : 'every process'
}

function callsOf(head: RegExp): SourceCall[] {
  return sources.flatMap(({ path, text }) => callsIn(path, text, head))
}

const cannotRead = (call: SourceCall): Error =>
  new Error(`${call.path}: what ${call.method}(${call.args[0]}, …) says is made at run time: write it as a literal`)

/** Every metric of our own, found in the calls that make it. */
export function metricRows(): { name: string; type: string; labels: string[]; help: string; part: string }[] {
  const rows = callsOf(/\bmetrics\.(counter|gauge|histogram)\(/g).map((call) => {
    const name = textOf(call.args[0], call.source)
    const help = textOf(call.args[1], call.source)
    const labels = listOf(call.args[2], call.source)
    if (name === undefined || help === undefined || labels === undefined) throw cannotRead(call)
    return { name: `bailiwick_${name}`, type: call.method, labels, help, part: partOf(call.path) }
  })
  return rows.toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

/** Every metric: name, type, labels, meaning. */
export function metricsPage(): string {
  const rows = metricRows()
  const parts = partsInOrder.filter((part) => rows.some((row) => row.part === part))
  if (rows.some(({ part }) => !parts.includes(part))) throw new Error('a metric of a part that has no section')
  return page(
    '# Metrics',
    generatedFrom('the calls that make metrics, in packages and services'),
    '`GET /metrics` answers in the text format of Prometheus; `BAILIWICK_METRICS` says who may read it ([settings](settings.md)). Every series also has the label `service`. Histograms are in seconds.\nThe process’s own figures (`process_…`, `nodejs_…`) are those of prom-client. Alerts, and what to do about each: [what to watch](../operate/kafka.md#what-to-watch).',
    ...parts.flatMap((part) => [
      `## ${heading(part)}`,
      table(
        ['Metric', 'Type', 'Labels', 'Says'],
        rows
          .filter((row) => row.part === part)
          .map(({ name, type, labels, help }) => [
            `\`${name}\``,
            type,
            labels.map((label) => `\`${label}\``).join(', '),
            help,
          ]),
      ),
    ]),
  )
}

const heading = (part: string): string => (part.startsWith('`') ? 'The plain decision point' : capital(part))
const capital = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1)

const levels = ['fatal', 'error', 'warn', 'info']

interface LogRow {
  level: string
  message: string
  fields: string[]
  parts: Set<string>
}

/** Every log line whose text is fixed: its level, its fields, and the processes that write it. */
function logRows(): LogRow[] {
  const rows = new Map<string, LogRow>()
  for (const call of callsOf(/\b(?:logger|log)\.(fatal|error|warn|info)\(/g)) {
    const [first = '', second] = call.args
    const message = textOf(second ?? first, call.source)
    if (message === undefined) continue // as another program said it, such as kafkajs
    const row = rows.get(`${call.method} ${message}`) ?? { level: call.method, message, fields: [], parts: new Set() }
    for (const field of second === undefined ? [] : (keysOf(first) ?? []))
      if (!row.fields.includes(field)) row.fields.push(field)
    row.parts.add(partOf(call.path))
    rows.set(`${call.method} ${message}`, row)
  }
  return [...rows.values()].toSorted((a, b) => (a.message < b.message ? -1 : 1))
}

/** Every log line. */
export function logPage(): string {
  const rows = logRows()
  return page(
    '# Log lines',
    generatedFrom('the calls that log, in packages and services'),
    'A process logs JSON lines to its standard output: `level`, `time` (RFC 3339), `service`, `msg`, and the fields below. `err` is an error’s code and detail. `BAILIWICK_LOG_LEVEL` sets the least level ([settings](settings.md)).\nA line in capitals wants a person.\nEach HTTP request has a line with method, route, status and ms: at `debug` if it was answered, at `info` if it was refused, at `warn` or `error` if the service failed. It has neither path nor query, headers or body, in which callers put secrets.\nLines that kafkajs words are not listed, nor those of `debug`.',
    ...levels.flatMap((level) => {
      const mine = rows.filter((row) => row.level === level)
      return mine.length === 0
        ? []
        : [
            `## ${level}`,
            table(
              ['Line', 'Fields', 'From'],
              mine.map(({ message, fields, parts }) => [
                message,
                fields.map((field) => `\`${field}\``).join(', '),
                [...parts].join(', '),
              ]),
            ),
          ]
    }),
  )
}

/** The names of all health checks; a name that a service completes stands with `…`. */
export const healthChecks = (): string[] =>
  callsOf(/\bhealth\.(check)\(/g)
    .map(({ args: [name = ''] }) => name.replace(/^['`]|['`]$/g, '').replace(/\$\{[^}]*\}/g, '…'))
    .toSorted()
