import type { ServiceKey } from '@bailiwick/contracts'
import { expect, it } from 'vitest'
import { ServiceKeyOrder } from './service-key-order.ts'

const key = (id: string, state?: ServiceKey['state'], purpose: ServiceKey['purpose'] = 'credential') =>
  ({ id, purpose, ...(state ? { state } : {}) }) as ServiceKey
const orderOf = (...keys: ServiceKey[]) => {
  const order = new ServiceKeyOrder()
  for (const each of keys) order.apply(each.id, each)
  return order
}
const kids = (order: ServiceKeyOrder) => order.signers('credential').map(({ id }) => id)

it('the one that became active last signs, of its own purpose; one that waits or was tainted never does (V12)', () => {
  const order = orderOf(key('first'), key('second', 'prepared'), key('other', 'active', 'permit'))
  expect(kids(order)).toEqual(['first'])
  order.apply('second', key('second', 'active'))
  expect(kids(order)).toEqual(['second', 'first'])
  order.apply('second', key('second', 'tainted'))
  expect(kids(order)).toEqual(['first'])
  order.apply('first', undefined)
  expect(kids(order)).toEqual([])
  expect(order.knows('credential')).toBe(true)
  expect(order.knows('binding-token')).toBe(false)
})

it('says who came after whom, also of those that are gone', () => {
  const order = orderOf(key('first'), key('second', 'prepared'))
  expect(order.succeeds('second', 'first')).toBe(false)
  order.apply('second', key('second', 'active'))
  order.apply('first', undefined)
  expect(order.succeeds('second', 'first')).toBe(true)
  expect(order.succeeds('first', 'second')).toBe(false)
  expect(order.succeeds('second', 'second')).toBe(false)
})
