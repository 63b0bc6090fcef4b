import { parseAuthority } from '@bailiwick/authority'
import type { Holders } from '@bailiwick/projection'
import { expect, it } from 'vitest'
import { coverEach } from './chain.ts'

const resource = { type: 'tool', id: 'invoices/read' }
function holder(...permissions: object[]) {
  const each = permissions.map((more) => ({ actions: ['tools/call'], resource, ...more }))
  const parsed = parseAuthority({
    type: 'bailiwick_task',
    task: 't',
    permissions: each,
    budget: { cost: { EUR: '9' } },
  })
  if (!parsed.ok) throw new Error(parsed.detail)
  return { authority: parsed.authority }
}

it('no permission covers by an argument that no event could hold (V3)', () => {
  const covering = (properties: object, ...holders: object[]) => {
    const covered = coverEach(holders as never as Holders, { name: 'tools/call', resource, properties })
    return covered.ok ? covered.levels.map((level) => level.covering.map(({ index }) => index)) : covered.reason
  }
  const named = { where: { '/id': { prefix: 'x' } } }
  const priced = { cost: { amount: '/amount', currency: '/currency' } }
  const [fits, long] = [{ id: 'x'.repeat(2048) }, { id: 'x'.repeat(2049) }]
  expect(covering(fits, holder(named))).toEqual([[0]])
  expect(covering(long, holder(named))).toBe('argument_out_of_bounds')
  expect(covering(long, holder(named, {}))).toEqual([[1]]) // what nothing compares may be as long as it likes
  expect(covering(long, holder({}), holder(named))).toBe('argument_out_of_bounds')
  const money = (amount: string) => ({ amount, currency: 'EUR' })
  expect(covering(money('1'), holder(priced))).toEqual([[0]])
  expect(covering(money(`1.${'0'.repeat(2047)}`), holder(priced))).not.toEqual([[0]])
})
