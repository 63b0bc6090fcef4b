import { expect, it } from 'vitest'
import { neighbour, setQueue, takeNext } from './answer-queue.ts'

it('goes on with the next request after an answer, then with the one before, then with none', () => {
  setQueue(['a', 'b', 'c'])
  expect([neighbour('b', 1), neighbour('b', -1), neighbour('c', 1), neighbour('x', 1)]).toEqual([
    'c',
    'a',
    undefined,
    undefined,
  ])
  expect([takeNext('b'), takeNext('c'), takeNext('a'), takeNext('x')]).toEqual(['c', 'a', undefined, undefined])
})
