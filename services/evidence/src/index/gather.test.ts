import { eventOfSize } from '@bailiwick/contracts/examples'
import { expect, it } from 'vitest'
import type { LeafPlace } from './find-leaves.ts'
import { gather, type LogView } from './gather.ts'

const largest = Buffer.from(eventOfSize(65_535))

it('ends a page at its size limit, even if more was asked for, and the next one goes on there (V18)', async () => {
  let reads = 0
  const all = Array.from({ length: 500 }, (_, n) => ({ at: 1000 - n, index: 500 - n }))
  const from: LogView = {
    index: {
      find: ({ before }, limit) => {
        const rest = all.filter(({ index }) => before === undefined || index < before.index)
        const leaves = rest.slice(0, limit)
        const last = leaves.at(-1)
        return rest.length > limit && last !== undefined ? { leaves, next: last } : { leaves }
      },
      beginningOf: () => undefined,
      isVoid: () => false,
    },
    async readLeaf() {
      reads++
      return largest
    },
    registry: { passkeysOf: () => [] },
  }
  const seen: number[] = []
  let pages = 0
  for (let before: LeafPlace | undefined; ; ) {
    const page = await gather({ before }, from, 500)
    pages++
    seen.push(...page.found.map(({ index }) => index))
    expect(page.leaves.reduce((sum, { bytes }) => sum + bytes.length, 0)).toBeLessThan(5 * 1024 * 1024)
    before = page.next
    if (before === undefined) break
  }
  expect(seen).toEqual(all.map(({ index }) => index))
  expect(pages).toBeGreaterThan(5)
  expect(reads).toBe(500)
})
