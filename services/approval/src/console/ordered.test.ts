import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Ordered, pageOf, pageSize } from './ordered.ts'

const item = (at: number) => ({ rank: 0, at, id: `i${at}` })
const all = ({ at }: { at: number }) => at

/** A list of this many items, whose newest comes first. */
function listOf(count: number) {
  const list = new Ordered<ReturnType<typeof item>>()
  for (let n = 1; n <= count; n++) list.add(item(n * 1000))
  return list
}

it('answers a range with an end whole, as far as that end, and says that the list goes on there', () => {
  const list = listOf(120)
  const first = pageOf(list, {}, all)
  expect(first.items).toHaveLength(pageSize)
  for (let n = 1; n <= 30; n++) list.add(item(200_000 + n))
  const again = pageOf(list, { through: first.next }, all)
  expect(again.items).toHaveLength(pageSize + 30)
  expect(again.items.at(-1)).toBe(first.items.at(-1))
  expect(again.next).toBe(first.next)
  expect(pageOf(list, { cursor: first.next, through: first.next }, all)).toEqual({ items: [], next: first.next })
})

it('pages that meet hold each item once, even if items came and went between their answers', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 260 }),
      fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 260_999 })), { maxLength: 200 }),
      (count, changes) => {
        const list = listOf(count)
        const cursors: string[] = []
        for (let next: string | undefined; ; ) {
          next = pageOf(list, { cursor: next }, all).next
          if (next === undefined) break
          cursors.push(next)
        }
        const held = new Set(Array.from({ length: count }, (_, n) => (n + 1) * 1000))
        for (const [comes, at] of changes)
          if (!comes) {
            list.remove(item(at))
            held.delete(at)
          } else if (!held.has(at)) {
            list.add(item(at))
            held.add(at)
          }
        // A page reads each part again in this way: an overfull part has a `next` before its end.
        const seen: number[] = []
        for (let [n, cursor] = [0, undefined as string | undefined]; n <= cursors.length; ) {
          const page = pageOf(list, { cursor, through: cursors[n] }, all)
          seen.push(...page.items)
          if (page.next === cursors[n]) n++
          cursor = page.next
          if (cursor === undefined) break
        }
        expect(seen).toEqual([...held].toSorted((a, b) => b - a))
      },
    ),
  )
})
