import type { Head } from '@bailiwick/contracts'
import { expect, it } from 'vitest'
import { anEvent, at, noon } from './events.fixture.ts'
import { Heads, hasFolded } from './heads.ts'

const head = (data: Partial<Head>, time = at(0)) => anEvent('heads.v1', 'head.published', { data, time })
const active = (producer: string, more: Partial<Head> = {}) =>
  head({ service: 'issuer', producer, active: true, stopping: false, ...more })

it.each([
  [0, true],
  [1000, true],
  [-1000, true],
  [1001, false],
  [-1001, false],
  [-9 * 3600 * 1000, false],
])('a head whose clock is %d ms off is taken: %s (V8)', (skew, taken) => {
  const heads = new Heads()
  expect(heads.apply(head({ service: 'issuer', active: true, stopping: false }, at(skew)), noon, 5)).toBe(taken)
  expect(heads.active('issuer') !== undefined).toBe(taken)
  expect(heads.all()).toHaveLength(taken ? 1 : 0)
})

it('only the active instance speaks for its service, and not as it stops (V8)', () => {
  const heads = new Heads()
  heads.apply(active('/issuer/standby', { active: false }), noon, 1)
  heads.apply(active('/issuer/stopping', { stopping: true }), noon, 2)
  expect(heads.active('issuer')).toBeUndefined()
  heads.apply(active('/issuer/one'), noon, 3)
  heads.apply(active('/issuer/standby', { active: false }), noon, 4)
  heads.apply(active('/issuer/one', { stopping: true }), noon, 5)
  expect(heads.active('issuer')).toMatchObject({ receivedAt: 3, head: { producer: '/issuer/one' } })
  expect(heads.of('/issuer/standby')?.receivedAt).toBe(4)
  expect(heads.active('approval')).toBeUndefined()
})

it('is folded when every partition that the head names is, of the topics that are read (V8)', () => {
  const { data } = active('/issuer/one', {
    counted: {
      'grants.v1': { '0': { offset: 3, id: 'evt' }, '2': { offset: 0, id: 'evt' } },
      'revocations.v1': { '0': { offset: -1, id: '' } },
      'registry.v1': { '0': { offset: 9, id: 'evt' } },
    },
  })
  const handled = (grants: number[]) => (topic: string, partition: number) =>
    topic === 'grants.v1' ? (grants[partition] ?? -1) : -1
  const folded = (...grants: number[]) => hasFolded(data, new Set(['grants.v1', 'revocations.v1']), handled(grants))
  expect(folded(3, -1, 0)).toBe(true)
  expect(folded(4, 7, 1)).toBe(true)
  expect(folded(2, 7, 7)).toBe(false)
  expect(folded(3)).toBe(false)
  expect(hasFolded(data, new Set(['registry.v1']), handled([]))).toBe(false)
  expect(hasFolded(data, new Set(), handled([]))).toBe(true)
})
