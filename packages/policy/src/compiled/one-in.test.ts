import { seededRandom } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import { oneIn } from './one-in.ts'

/** The distances between those that are drawn. */
function distances(n: number, count: number, random = seededRandom('one-in')): number[] {
  const isOne = oneIn(n, random)
  return Array.from({ length: count }, () => {
    let distance = 1
    while (!isOne()) distance++
    return distance
  })
}

it('is each one of one', () => {
  expect(distances(1, 1000)).toEqual(Array.from({ length: 1000 }, () => 1))
})

it('is one in so many on average, as likely right after another one as at any time', () => {
  const drawn = distances(10, 20_000)
  const share = (is: (distance: number) => boolean) => drawn.filter(is).length / drawn.length
  expect(drawn.reduce((sum, each) => sum + each, 0) / drawn.length).toBeCloseTo(10, 0)
  expect(share((distance) => distance === 1)).toBeCloseTo(1 / 10, 1)
  expect(share((distance) => distance > 10)).toBeCloseTo(0.9 ** 10, 1)
  expect(share((distance) => distance > 30)).toBeCloseTo(0.9 ** 30, 1)
})

it('falls on every place of a round, however many a round asks', () => {
  let at = 0
  const places = distances(10, 1000).map((distance) => {
    at += distance
    return at % 10
  })
  expect(new Set(places).size).toBe(10)
})

it.each([
  [2, 0x00, 1],
  [2, 0x7f, 1],
  [2, 0x81, 2],
  [2, 0xbf, 2],
  [2, 0xc1, 3],
  [10, 0xff, 53],
])('of one in %i is as far away as is drawn: %i, %i', (n, byte, distance) => {
  const random = (bytes: number) => new Uint8Array(bytes).fill(byte, 0, 1)
  expect(distances(n, 1, random)).toEqual([distance])
})

it('comes in the end, with any numbers drawn', () => {
  expect(distances(10, 1, (bytes) => new Uint8Array(bytes).fill(0xff))).toEqual([316])
})
