import type { DecodedEvent } from '@bailiwick/contracts'
import { testClock } from '@bailiwick/service-kit'
import { expect, it } from 'vitest'
import { Gaps, gapName } from './gaps.ts'
import type { Chain } from './leaf-index.ts'

const producer = '/issuer/a'
const time = '2026-11-24T12:00:00.000Z'
const head = (sequence: number) =>
  ({ time, data: { producer, service: 'issuer', sequence } }) as DecodedEvent<'heads.v1'>

function aGaps() {
  const clock = testClock()
  const chain: Chain = { whole: 0, ahead: [] }
  return {
    clock,
    chain,
    gaps: new Gaps(
      () => chain,
      () => clock.monotonic(),
    ),
  }
}

it('tells of every number up to a head that is missing a minute after all was read, the last one included (V15)', () => {
  const { clock, chain, gaps } = aGaps()
  Object.assign(chain, { whole: 2, ahead: [7, 4] })
  gaps.head(head(9))
  expect(gaps.due(true)).toEqual([])
  clock.advance(59_999)
  expect(gaps.due(true)).toEqual([])
  clock.advance(1)
  const found = gaps.due(true)
  expect(found.map(({ from, to }) => [from, to])).toEqual([
    [3, 3],
    [5, 6],
    [8, 9],
  ])
  expect(found[0]).toEqual({ producer, service: 'issuer', from: 3, to: 3, headTime: time })
  expect(new Set(found.map(gapName)).size).toBe(3)
})

it('calls nothing a gap while the bus is down or still being read', () => {
  const { clock, chain, gaps } = aGaps()
  gaps.head(head(3))
  for (let n = 0; n < 10; n++) {
    clock.advance(60_000)
    expect(gaps.due(false)).toEqual([])
  }
  expect(gaps.due(true)).toEqual([])
  chain.whole = 3
  clock.advance(60_000)
  expect(gaps.due(true)).toEqual([])
})

it('forgets a gap that was closed, and waits anew for the next one', () => {
  const { clock, chain, gaps } = aGaps()
  gaps.head(head(1))
  gaps.due(true)
  clock.advance(50_000)
  chain.whole = 1
  gaps.due(true)
  gaps.head(head(2))
  gaps.due(true)
  clock.advance(50_000)
  expect(gaps.due(true)).toEqual([])
  clock.advance(10_000)
  expect(gaps.due(true)).toHaveLength(1)
})

it('is led back by no older head, and asks nothing of a producer that said nothing', () => {
  const { clock, chain, gaps } = aGaps()
  chain.whole = 4
  gaps.head(head(5))
  gaps.head(head(0))
  gaps.due(true)
  clock.advance(60_000)
  expect(gaps.due(true)).toMatchObject([{ from: 5, to: 5 }])
  chain.whole = 5
  expect(gaps.due(true)).toEqual([])
})
