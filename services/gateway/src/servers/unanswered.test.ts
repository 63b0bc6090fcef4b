import { expect, it } from 'vitest'
import { Unanswered } from './unanswered.ts'

it('lets a response move once, if it may', () => {
  const unanswered = new Unanswered()
  unanswered.sent(1)
  expect(unanswered.moved(1)).toBe(false)
  expect(unanswered.mayMove(1)).toBe(true)
  expect([unanswered.moved('1'), unanswered.moved(1), unanswered.moved(1)]).toEqual([false, true, false])
})

it('lets none move that came, or whose call was withdrawn', () => {
  const unanswered = new Unanswered()
  for (const id of [1, 2]) {
    unanswered.sent(id)
    unanswered.mayMove(id)
  }
  unanswered.answered(1)
  unanswered.withdrawn(2)
  expect([unanswered.moved(1), unanswered.moved(2), unanswered.mayMove(2)]).toEqual([false, false, false])
})

it('lets none move under an id that an unanswered request had, ever after', () => {
  const unanswered = new Unanswered()
  for (let n = 0; n < 2; n++) {
    unanswered.sent(1)
    expect(unanswered.mayMove(1)).toBe(n === 0)
  }
  expect(unanswered.moved(1)).toBe(false)
  unanswered.answered(1)
  unanswered.sent(1)
  expect(unanswered.mayMove(1)).toBe(false)
})

it('remembers a bounded number, and lets none move once it cannot know them all (V18)', () => {
  const unanswered = new Unanswered()
  unanswered.sent('first')
  unanswered.mayMove('first')
  for (let id = 0; id < 1024; id++) unanswered.sent(id)
  for (let id = 0; id < 1024; id++) unanswered.answered(id)
  unanswered.sent('again')
  expect([unanswered.mayMove('again'), unanswered.moved('first')]).toEqual([false, false])
})
