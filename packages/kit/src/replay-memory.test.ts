import { expect, it } from 'vitest'
import { ReplayMemory } from './replay-memory.ts'

it('takes an id once while it lives, and again only when nothing that carried it counts any more (V10)', () => {
  const memory = new ReplayMemory()
  expect(memory.remember('x', 'a', 100, 0)).toBe('new')
  expect(memory.remember('x', 'a', 200, 99)).toBe('seen')
  expect(memory.remember('x', 'b', 100, 99)).toBe('new')
  expect(memory.remember('y', 'a', 100, 99)).toBe('new')
  expect(memory.remember('x', 'a', 200, 100)).toBe('new')
})

it('takes nothing new rather than forget what still counts, and has room again once that expired (V10)', () => {
  const memory = new ReplayMemory(2)
  expect(memory.remember('x', 'a', 100, 0)).toBe('new')
  expect(memory.remember('y', 'b', 100, 0)).toBe('new')
  expect(memory.remember('x', 'c', 100, 0)).toBe('full')
  expect(memory.remember('x', 'a', 100, 0)).toBe('seen')
  expect(memory.remember('x', 'c', 200, 100)).toBe('new')
  expect(memory.remember('x', 'd', 200, 100)).toBe('new')
  expect(memory.remember('x', 'e', 200, 100)).toBe('full')
})

it('a caller that fills its share stops only itself (V18)', () => {
  const memory = new ReplayMemory(10, 2)
  const flood = Array.from({ length: 50 }, (_, n) => memory.remember('flooder', `${n}`, 100, 0))
  expect(flood).toEqual(['new', 'new', ...Array.from({ length: 48 }, () => 'full')])
  expect(memory.remember('other', 'a', 100, 0)).toBe('new')
  expect(memory.remember('flooder', 'later', 200, 100)).toBe('new')
})
