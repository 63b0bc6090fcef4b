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

const introduction = [
  '# Benchmarks',
  '',
  'Written by `bailiwick bench --write`, and by `bailiwick bench --kafka --write`; do not edit. What one section says was',
  'measured in one run on one machine, so the **ratios** are what to read: the times are that machine’s. Nothing here is asserted;',
  'CI runs `--quick`, which only shows that the bench works.',
]

/**
 * The page with these measures in it. Sections of the present page that were not measured now stay. A target is shown
 * next to its number; missing it fails nothing.
 */
export function asMarkdown(report: Report, page: string): string {
  const sections = new Map(sectionsOf(page))
  for (const measure of report.measures)
    sections.set(measure.title, section(measure, report, sections.get(measure.title) ?? ''))
  return `${[introduction.join('\n'), ...sections.values()].join('\n\n')}\n`
}

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
  return `${bound} ${unit}, ${met ? 'met' : 'missed'}`
}
