import type { Machine } from './machine.ts'
import type { Measure, Row } from './measure.ts'

export interface Report {
  /** RFC 3339 */
  at: string
  quick: boolean
  machine: Machine
  measures: Measure[]
}

const crowded =
  '**Other work competed for the cores meanwhile** (load above the number of cores). A plain fdatasync hardly notices; work that ' +
  'changes threads waits for its turn, so a ratio to it is too high, and rates are too low. Measure again on a quiet machine.'

const introduction = `# Benchmarks

Written by \`npm run bench -- --write\`, which measures everything, with counts that should end within half an hour, and by
\`bailiwick bench MEASURE --write\` for one section; do not edit. What one section says was measured in one run on one machine, so the **ratios** are what to read: the
times are that machine’s. Nothing here is asserted; CI runs \`--quick\`, which only shows that the bench works.`

/** The rows that the first table shows, in the words of a reader who knows no other page. */
export const summary: readonly { says: string; title: string; row: string }[] = [
  {
    says: 'A decision with its evidence on disk takes this long, one at a time (p50)',
    title: 'Decisions',
    row: 'evidence on, one at a time, p50',
  },
  { says: 'One process makes so many decisions a second', title: 'Decisions', row: 'evidence on, 64 in flight' },
  {
    says: 'An MCP tool answers this much later through the gateway, at 100 calls a second (p50)',
    title: 'The MCP gateway',
    row: 'embedded, 100/s: added p50',
  },
  { says: 'The same, p99', title: 'The MCP gateway', row: 'embedded, 100/s: added p99' },
  {
    says: 'An HTTP API answers this much later than through nginx (p50)',
    title: 'The gateway in front of an HTTP API',
    row: '50/s: the gateway over nginx, p50',
  },
  {
    says: 'LiteLLM’s proxy adds so many times as much to the call of a model (p50)',
    title: 'The gateway in front of models',
    row: "50/s: added by LiteLLM, as a multiple of the gateway's, p50",
  },
  {
    says: 'Calls at once spend this much beyond their budget (millionths of a USD)',
    title: 'The gateway in front of models',
    row: '200 calls at once under 0.02 USD, the gateway: spent beyond it, in millionths of a USD',
  },
  {
    says: 'After the withdrawal of a grant is acknowledged, its last call is allowed this much later (p99)',
    title: 'From an acknowledged revocation to the last ALLOW, kind by kind',
    row: 'grant: p99',
  },
  {
    says: 'An open stream ends this long after a withdrawal is acknowledged (p99)',
    title: 'The MCP gateway',
    row: 'embedded, one open stream: revocation acknowledged → last byte, p99',
  },
  { says: 'Credentials issued a second', title: 'Issuing credentials', row: 'credentials, by the clock' },
  { says: 'The log takes so many entries a second', title: 'The evidence log', row: '1024 writers, entries' },
  {
    says: 'An event can be found and proved this long after it happened (p99)',
    title: 'The evidence log',
    row: 'published → covered, p99',
  },
  {
    says: 'With 1,000 policies a decision costs so many times what it costs with 100',
    title: 'A decision point: plain and with grants, beside an echo',
    row: 'plain: the same in CPU time',
  },
]

/**
 * The page with these measures in it. Sections of the present page that were not measured now stay. A target is shown
 * next to its number; missing it fails nothing.
 */
export function asMarkdown(report: Report, page: string): string {
  const sections = new Map(sectionsOf(page))
  sections.delete(inShort)
  for (const measure of report.measures)
    sections.set(measure.title, section(measure, report, sections.get(measure.title) ?? ''))
  return `${[introduction, ...summaryOf(sections), ...sections.values()].join('\n\n')}\n`
}

const inShort = 'In short'

/** Each row links to its section, which says how it was measured, and on which day. */
function summaryOf(sections: ReadonlyMap<string, string>): string[] {
  const rows = summary.flatMap(({ says, title, row }) => {
    const text = sections.get(title) ?? ''
    const cells = text
      .split('\n')
      .find((line) => line.startsWith(`| ${row} |`))
      ?.split(' | ')
    if (!cells) return []
    const [, value = '', target = ''] = cells.map((cell) => cell.replace(/^\||\|$/g, '').trim())
    const day = /\d{4}-\d{2}-\d{2}(?=T[\d:.]+Z\*)/.exec(text)?.[0] ?? ''
    return [`| [${says}](#${anchorOf(title)}) | ${value} | ${target} | ${day} |`]
  })
  if (rows.length === 0) return []
  return [`## ${inShort}`, ['| | | target | measured |', '|---|--:|---|---|', ...rows].join('\n')]
}

/** The name that a heading has in a link, as GitHub makes it. */
const anchorOf = (title: string) =>
  title
    .toLowerCase()
    .replace(/[^\w -]/g, '')
    .replaceAll(' ', '-')

function sectionsOf(page: string): [title: string, text: string][] {
  return page
    .split(/^(?=## )/m)
    .slice(1)
    .map((text) => [/^## (.*)$/m.exec(text)?.[1] ?? '', text.trimEnd()])
}

function section(measure: Measure, report: Report, before: string): string {
  const { title, how } = measure
  const { at, quick, machine } = report
  const { cpu, cores, memory, disk, kernel, node, load } = machine
  const rows = measure.byKind ? rowsByKind(measure.byKind, measure, report, before) : measure.rows.map(cellsOf)
  const loads = measure.byKind ? rows.map((row) => Number(/load before ([0-9.]+)/.exec(row)?.[1])) : [load]
  return [
    `## ${title}`,
    '',
    how,
    '',
    `*${cpu}, ${cores} cores · ${memory} · ${disk} · ${kernel} · Node ${node} · load before ${load.toFixed(1)} · ${at}*`,
    ...(quick ? ['', '**A smoke count (`--quick`): the numbers mean little.**'] : []),
    ...(loads.some((each) => each > cores) ? ['', crowded] : []),
    '',
    `| | | target |${measure.byKind ? ' run |' : ''}`,
    `|---|--:|---|${measure.byKind ? '---|' : ''}`,
    ...rows,
  ].join('\n')
}

const cellsOf = (row: Row) => `| ${row.name} | ${shown(row)} | ${targetOf(row)} |`

function rowsByKind(kinds: readonly string[], { rows }: Measure, { at, machine }: Report, before: string): string[] {
  const run = `${machine.commit} · ${at.slice(0, 16)}Z · load before ${machine.load.toFixed(1)}`
  const now = rows.map((row) => `${cellsOf(row)} ${row.count?.toLocaleString('en-US') ?? ''} · ${run} |`)
  const known = before.split('\n')
  return kinds.flatMap((kind) => {
    const ofKind = (line: string) => line.startsWith(`| ${kind}: `)
    return now.some(ofKind) ? now.filter(ofKind) : known.filter(ofKind)
  })
}

/** For a terminal. */
export function asText({ machine, measures, quick }: Report): string {
  const { cpu, cores, disk, kernel, node, load } = machine
  return [
    `${cpu}, ${cores} cores · ${disk} · ${kernel} · Node ${node} · load ${load.toFixed(1)}`,
    ...(quick ? ['A smoke count: the numbers mean little.'] : []),
    ...measures.flatMap(({ title, rows }) => [
      '',
      title,
      ...rows.map((row) => `  ${row.name.padEnd(48)}${shown(row).padStart(14)}  ${targetOf(row)}`.trimEnd()),
    ]),
  ].join('\n')
}

function shown({ value, unit }: Row): string {
  const digits = unit === '/s' || unit === '' || unit === 'bytes' || value >= 100 ? 0 : value >= 10 ? 1 : 2
  const number = value.toLocaleString('en-US', { maximumFractionDigits: digits, minimumFractionDigits: digits })
  return unit === '' ? number : `${number} ${unit}`
}

function targetOf({ value, unit, target }: Row): string {
  if (!target) return ''
  const [bound, met] =
    'atMost' in target
      ? [`≤ ${target.atMost}`, value <= target.atMost]
      : [`≥ ${target.atLeast}`, value >= target.atLeast]
  return `${`${bound} ${unit}`.trimEnd()}, ${met ? 'met' : 'missed'}`
}
