import { setImmediate } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { OutcomesInHand } from './outcomes-in-hand.ts'

/** Records that end when the test says so. */
function records() {
  const begun: string[] = []
  const end = new Map<string, PromiseWithResolvers<void>>()
  const record = (name: string) => () => {
    begun.push(name)
    const ending = Promise.withResolvers<void>()
    end.set(name, ending)
    return ending.promise
  }
  return { begun, end, record }
}

it('gives the same outcome the answer of the first, and none before that is durable (V10)', async () => {
  const inHand = new OutcomesInHand()
  const { begun, end, record } = records()
  const heard: string[] = []
  const first = inHand.once(['dec_1', 'p i 1'], 'a', record('first'))
  const again = inHand.once(['dec_1', 'p i 1'], 'a', record('again')).then(
    () => heard.push('counts'),
    (error) => heard.push(error.message),
  )
  expect([begun, inHand.has('dec_1')]).toEqual([['first'], true])
  await setImmediate()
  expect(heard).toEqual([])
  end.get('first')?.reject(new Error('unsure'))
  await expect(first).rejects.toThrow('unsure')
  await again
  expect([heard, begun, inHand.has('dec_1')]).toEqual([['unsure'], ['first'], false])
})

it.each([
  ['decision', ['dec_1', 'p i 2']],
  ['number', ['dec_2', 'p i 1']],
])('lets another outcome of the same %s wait for what becomes of the first (V10)', async (_, names) => {
  const inHand = new OutcomesInHand()
  const { begun, end, record } = records()
  const first = inHand.once(['dec_1', 'p i 1'], 'a', record('first'))
  const another = inHand.once(names, 'b', record('another'))
  await setImmediate()
  expect(begun).toEqual(['first'])
  end.get('first')?.resolve()
  await first
  await setImmediate()
  expect(begun).toEqual(['first', 'another'])
  end.get('another')?.resolve()
  await another
  expect(names.some((name) => inHand.has(name))).toBe(false)
})
