import { namedPointers, parseAuthority } from '@bailiwick/authority'
import { emptySpend, type Holders } from '@bailiwick/projection'
import { expect, it } from 'vitest'
import { coverEach, isScalar } from './authority.ts'
import { budgeted } from './budget.ts'

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
  expect(covering(long, holder(named, {}))).toEqual([[1]]) // a value that is not compared may have any length
  expect(covering(long, holder({}), holder(named))).toBe('argument_out_of_bounds')
  const money = (amount: string) => ({ amount, currency: 'EUR' })
  expect(covering(money('1'), holder(priced))).toEqual([[0]])
  expect(covering(money(`1.${'0'.repeat(2047)}`), holder(priced))).not.toEqual([[0]])
})

it('the first holder whose authority does not cover it says why, from the grant down (V5)', () => {
  const covered = (properties: object, ...holders: object[]) => {
    const answer = coverEach(holders as never as Holders, { name: 'tools/call', resource, properties })
    return answer.ok ? answer.levels.length : answer.reason
  }
  const [other, bounded] = [holder({ actions: ['other'] }), holder({ where: { '/n': { max: '1' } } })]
  expect(covered({ n: 1 }, holder({}), bounded)).toBe(2)
  expect(covered({ n: 2 }, holder({}), bounded, other)).toBe('argument_out_of_bounds')
  expect(covered({ n: 2 }, other, bounded)).toBe('action_not_granted')
  expect(covered({})).toBe('action_not_granted') // without holders there is no authority
})

it('an event has room for what JSON has no members of, and for texts of 2048', () => {
  expect([null, 0, -1.5, true, false, '', 'x'.repeat(2048)].every(isScalar)).toBe(true)
  expect([undefined, {}, [], 'x'.repeat(2049), 1n].some(isScalar)).toBe(false)
})

it('names what a permission looks at: the arguments that it bounds, and where its cost stands', () => {
  const [permission] = holder({
    where: { '/a': { eq: true }, '/b': { eq: true } },
    cost: { amount: '/n', currency: '/c' },
  }).authority.permissions
  expect(permission && namedPointers(permission)).toEqual(['/a', '/b', '/n', '/c'])
  expect(namedPointers({ actions: ['x'], resource })).toEqual([])
})

it('each link is held to what was taken at it and below it, the grant to what the whole tree took (V9)', () => {
  const covering = [{ index: 0 }]
  const levels = ['grt_1', 'dlg_1', 'dlg_2'].map((id) => ({ holder: { ...holder({}), id }, covering }))
  const [tree, link] = [emptySpend(), emptySpend()]
  tree.taken.calls = 5n
  link.taken.calls = 3n
  tree.links.set('dlg_1', link)
  const spent = budgeted(levels as never, tree).map((level) => level.spent)
  expect(spent.map(({ taken }) => taken.calls)).toEqual([5n, 3n, 0n])
  expect(spent[2]).toEqual({
    taken: { calls: 0n, egressBytes: 0n, cost: new Map() },
    uses: new Map(),
    open: 0,
    held: { calls: 0n, cost: new Map(), uses: new Map() },
    unmeasured: 0,
  })
})
