import type { Touch } from '../touched.ts'
import type { Columns } from './row.ts'

// A map of amounts is a list of pairs in a row, in the map's order.

export const amountsRow = (amounts: ReadonlyMap<string, bigint>): unknown[] =>
  [...amounts].map(([currency, micros]) => [currency, String(micros)])

export const readAmounts = (columns: Columns): Map<string, bigint> =>
  new Map(columns.each((pair) => [pair.text(), pair.big()]))

export const usesRow = (uses: ReadonlyMap<number, number>): unknown[] => [...uses]

export const readUses = (columns: Columns): Map<number, number> =>
  new Map(columns.each((pair) => [pair.whole(), pair.whole()]))

export const labelsRow = (labels: ReadonlyMap<string, Readonly<Touch>>): unknown[] =>
  [...labels].map(([label, { count, spent, lastAt }]) => [label, count, amountsRow(spent), lastAt])

export const readLabels = (columns: Columns): Map<string, Touch> =>
  new Map(
    columns.each((label) => [label.text(), { count: label.whole(), spent: readAmounts(label), lastAt: label.whole() }]),
  )
