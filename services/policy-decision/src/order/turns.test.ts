import { expect, it } from 'vitest'
import { Turns } from './turns.ts'

it('lets go in the order of places, when all have come or left', async () => {
  const turns = new Turns()
  const [a, b, c, d] = [turns.next(), turns.next(), turns.next(), turns.next()] as const
  const order: string[] = []
  const come = (name: string, turn: typeof a) => turn.come().then(() => order.push(name))
  const all = [come('c', c), come('a', a)]
  await new Promise(setImmediate)
  expect(order).toEqual([])
  b.leave()
  b.leave()
  await b.come().then(() => order.push('b'))
  all.push(come('d', d))
  await Promise.all(all)
  expect(order).toEqual(['b', 'a', 'c', 'd'])
  await turns.next().come()
})
