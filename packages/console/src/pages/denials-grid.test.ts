import { expect, it } from 'vitest'
import type { DeniedThings } from '../types.ts'
import { denialsGrid } from './denials-grid.ts'

type Agent = DeniedThings['agents'][number]

const denied = (...agents: Agent[]): DeniedThings => ({ from: '', to: '', agents, more_agents: 0 })
const agent = (name: string, counts: Record<string, number>, reasons: Record<string, number> = {}): Agent => ({
  ...{ agent: name, denied: 0, complete: true },
  things: Object.entries(counts).map(([resource, denied]) => ({ resource, denied, reasons })),
})

it('has the most denied agents and tools first, each cell darker by its order of magnitude', () => {
  const { columns, rows, isCut } = denialsGrid(denied(agent('a', { read: 1 }), agent('b', { read: 9, pay: 1000 })))
  expect(columns).toEqual(['pay', 'read'])
  expect(rows.map(({ agent, denied, cells }) => [agent, denied, cells.map(({ level }) => level)])).toEqual([
    ['b', 1009, [5, 2]],
    ['a', 1, [0, 1]],
  ])
  expect(isCut).toBe(false)
})

it('leaves out first tries, and agents and tools that had nothing else', () => {
  const tried = agent('a', { read: 3 }, { proof_nonce_required: 3 })
  const both = agent('b', { read: 3 }, { proof_nonce_required: 2, budget_exhausted: 1 })
  const { columns, rows } = denialsGrid(denied(tried, both))
  expect([columns, rows.map(({ agent, denied }) => [agent, denied])]).toEqual([['read'], [['b', 1]]])
  expect(rows[0]?.cells[0]?.reasons).toEqual([['budget_exhausted', 1]])
  expect(denialsGrid(denied(tried)).rows).toEqual([])
})

it('counts further tools together, and says what it does not have', () => {
  const many = Object.fromEntries(Array.from({ length: 14 }, (_, n) => [`tool-${n}`, 20 - n]))
  const { columns, rows } = denialsGrid(denied(agent('a', many)))
  expect(columns).toHaveLength(10)
  expect(columns.at(-1)).toBe('others')
  expect(rows[0]?.cells.reduce((sum, { denied }) => sum + denied, 0)).toBe(rows[0]?.denied)
  expect(denialsGrid({ ...denied(), more_agents: 1 }).isCut).toBe(true)
  expect(denialsGrid(denied({ ...agent('a', {}), complete: false })).isCut).toBe(true)
  const summed = { agent: 'a', denied: 7, complete: true, things: [{ denied: 7, reasons: { rate_limited: 7 } }] }
  expect(denialsGrid(denied(summed)).columns).toEqual(['summed up'])
})

it('keeps the row of an agent whose calls were not all read', () => {
  const busy = { agent: 'a', denied: 40, complete: false, things: [] }
  const { rows, isCut } = denialsGrid(denied(busy))
  expect([rows.map(({ agent, denied }) => [agent, denied]), isCut]).toEqual([[['a', 40]], true])
  const partly = { ...agent('a', { read: 3 }), denied: 40, complete: false }
  expect(denialsGrid(denied(partly)).rows[0]).toMatchObject({ denied: 40, cells: [{ denied: 3 }] })
})
