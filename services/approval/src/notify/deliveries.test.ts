import { logger } from '@bailiwick/host'
import { expect, it, vi } from 'vitest'
import { type Delivered, Deliveries, type DeliveriesOptions } from './deliveries.ts'
import { aNotice } from './sink.contract.ts'
import type { Sent } from './sink.ts'

function watched(says: (nth: number) => Sent | Promise<Sent>, more: Partial<DeliveriesOptions> = {}) {
  const ended: Delivered[] = []
  let sends = 0
  const deliveries = new Deliveries({
    sink: { send: async () => says(++sends) },
    logger: logger({ service: 'test', level: 'silent' }),
    stillTrue: () => true,
    onDelivered: (_, result) => void ended.push(result),
    pausesMs: [1, 1, 1],
    ...more,
  })
  return { deliveries, ended, sends: () => sends }
}

it('tries again with pauses, and gives up after the last', async () => {
  const some = watched((nth) => (nth < 3 ? 'later' : 'sent'))
  some.deliveries.add(aNotice())
  await vi.waitFor(() => expect(some.ended).toEqual(['sent']))
  expect(some.sends()).toBe(3)
  const none = watched(() => 'later')
  none.deliveries.add(aNotice())
  await vi.waitFor(() => expect(none.ended).toEqual(['failed']))
  expect(none.sends()).toBe(4)
})

it('does not try again what will never do', async () => {
  const watch = watched(() => 'never')
  watch.deliveries.add(aNotice())
  await vi.waitFor(() => expect(watch.ended).toEqual(['failed']))
  expect(watch.sends()).toBe(1)
})

it('does not tell that something waits once it was answered', async () => {
  let waits = true
  const watch = watched(
    () => {
      waits = false
      return 'later'
    },
    { stillTrue: () => waits },
  )
  watch.deliveries.add(aNotice())
  await vi.waitFor(() => expect(watch.ended).toEqual(['moot']))
})

it('keeps no more than its bound, drops what comes then, and stops at once', async () => {
  const watch = watched(() => new Promise<Sent>(() => undefined), { most: 10 })
  for (let n = 0; n < 15; n++) watch.deliveries.add(aNotice({ id: `ntf_${n}` }))
  expect(watch.ended).toEqual(['dropped', 'dropped', 'dropped', 'dropped', 'dropped'])
  await vi.waitFor(() => expect(watch.sends()).toBe(4))
})

it('delivers nothing while it stops', async () => {
  const watch = watched(() => 'later', { pausesMs: [60_000] })
  watch.deliveries.add(aNotice())
  await vi.waitFor(() => expect(watch.sends()).toBe(1))
  await watch.deliveries[Symbol.asyncDispose]()
  watch.deliveries.add(aNotice())
  expect([watch.sends(), watch.ended]).toEqual([1, []])
})
