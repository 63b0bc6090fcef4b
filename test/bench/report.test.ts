import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import type { Machine } from './machine.ts'
import type { Row } from './measure.ts'
import { asMarkdown, type Report, summary } from './report.ts'

const quiet: Machine = {
  ...{ cpu: 'CPU', cores: 2, memory: '1 GiB', disk: 'vda', kernel: 'Linux', node: 'v26', commit: 'abc1234', load: 0.5 },
}
const row = (name: string, value: number): Row => ({ name, value, unit: 'ms', target: { atMost: 20 }, count: 2000 })

function reported(rows: Row[], { load = 0.5, commit = 'abc1234', at = '2026-11-27T10:00:00.000Z' } = {}): Report {
  const byKind = ['credential', 'grant', 'tree']
  const measures = [{ id: 'revocations', title: 'Revocations', how: 'So.', byKind, rows }]
  return { at, quick: false, machine: { ...quiet, load, commit }, measures }
}
const rowsOf = (page: string) => page.split('\n').filter((line) => /^\| [a-z]/.test(line))

it('keeps the latest rows of each kind, in the order of kinds, with their run', () => {
  const first = asMarkdown(reported([row('grant: p99', 1), row('grant: old', 2), row('tree: all', 3)]), '')
  const at = '2026-11-28T11:30:00.000Z'
  const second = asMarkdown(
    reported([row('credential: p99', 4), row('grant: p99', 25)], { commit: 'def5678', at }),
    first,
  )
  expect(rowsOf(second)).toEqual([
    '| credential: p99 | 4.00 ms | ≤ 20 ms, met | 2,000 · def5678 · 2026-11-28T11:30Z · load before 0.5 |',
    '| grant: p99 | 25.0 ms | ≤ 20 ms, missed | 2,000 · def5678 · 2026-11-28T11:30Z · load before 0.5 |',
    '| tree: all | 3.00 ms | ≤ 20 ms, met | 2,000 · abc1234 · 2026-11-27T10:00Z · load before 0.5 |',
  ])
  expect(second.match(/^## /gm)).toHaveLength(1)
})

it('reports competing load as long as it is true of a row', () => {
  const crowded = asMarkdown(reported([row('grant: p99', 1)], { load: 9 }), '')
  expect(crowded).toContain('Other work competed')
  const both = asMarkdown(reported([row('tree: all', 1)]), crowded)
  expect(both).toContain('Other work competed')
  expect(asMarkdown(reported([row('grant: p99', 1)]), both)).not.toContain('Other work competed')
})

it('replaces a section that is not by kind, and no other', () => {
  const whole = (title: string, value: number) => ({ id: title, title, how: 'So.', rows: [row('p50', value)] })
  const base = reported([])
  const page = asMarkdown({ ...base, measures: [whole('One', 1), whole('Two', 2)] }, '')
  const again = asMarkdown({ ...base, measures: [whole('Two', 3)] }, page)
  expect(rowsOf(again)).toEqual(['| p50 | 1.00 ms | ≤ 20 ms, met |', '| p50 | 3.00 ms | ≤ 20 ms, met |'])
})

it('begins with what readers ask first, from the rows of all sections, and the day of each', async () => {
  const [first, second] = summary
  const measure = ({ title, row: name }: (typeof summary)[number], value: number) => ({
    ...{ id: title, title, how: 'So.', rows: [row(name, value)] },
  })
  if (!first || !second) throw new Error('there is no summary')
  const page = asMarkdown({ ...reported([]), measures: [measure(first, 4)] }, '')
  expect(page).toContain(`| [${first.says}](#decisions) | 4.00 ms | ≤ 20 ms, met | 2026-11-27 |`)
  const later = reported([], { at: '2026-11-28T01:00:00.000Z' })
  const both = asMarkdown({ ...later, measures: [measure({ ...second, title: 'Other' }, 5)] }, page)
  expect(both.match(/^## /gm)).toHaveLength(3)
  expect(both.match(/## In short\n[^#]*/)?.[0]).not.toContain(second.says)
  expect(both).toContain('| 2026-11-27 |')
})

it('names only rows that a run has written', async () => {
  const page = await readFile(join(import.meta.dirname, '../../docs/explain/benchmarks.md'), 'utf8')
  for (const { says, row: name } of summary) {
    expect(page).toContain(`| ${name} |`)
    expect(page).toContain(`| [${says}](#`)
  }
})
