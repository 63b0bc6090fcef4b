import { expect, it } from 'vitest'
import { InHand } from './in-hand.ts'

it('says how many events wait, and since when the oldest of them does', () => {
  const hand = new InHand()
  expect(hand.waiting).toBeUndefined()
  const first = hand.take(2, 100)
  const second = hand.take(3, 200)
  expect(hand.waiting).toEqual({ events: 5, since: 100 })
  first()
  expect(hand.waiting).toEqual({ events: 3, since: 200 })
  first()
  expect(hand.waiting).toEqual({ events: 3, since: 200 })
  second()
  expect(hand.waiting).toBeUndefined()
})
