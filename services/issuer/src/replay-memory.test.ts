import { expect, it } from 'vitest'
import { ReplayMemory } from './replay-memory.ts'

it('takes an id once while it lives, and again only when nothing that carried it counts any more (V10)', () => {
  const memory = new ReplayMemory()
  expect(memory.remember('a', 100, 0)).toBe(true)
  expect(memory.remember('a', 200, 99)).toBe(false)
  expect(memory.remember('b', 100, 99)).toBe(true)
  expect(memory.remember('a', 200, 100)).toBe(true)
})

it('takes nothing new rather than forget what still counts, and has room again once that expired (V10)', () => {
  const memory = new ReplayMemory(2)
  expect(memory.remember('a', 100, 0)).toBe(true)
  expect(memory.remember('b', 100, 0)).toBe(true)
  expect(memory.remember('c', 100, 0)).toBe(false)
  expect(memory.remember('a', 100, 0)).toBe(false)
  expect(memory.remember('c', 200, 100)).toBe(true)
})
