import { expect, it } from 'vitest'
import { assertBusKept } from './assert-bus-kept.ts'

const bus = (ends: Record<string, number[]>) => ({ ends: async (topic: string) => ends[topic] ?? [] })
const had = { 'revocations.v1': { '0': 4 }, 'grants.v1': { '0': 9, '2': 0 } }

it('takes a bus that has all that the log has had, and more', async () => {
  await assertBusKept(bus({ 'revocations.v1': [5], 'grants.v1': [10, 0, 1] }), had)
  await assertBusKept(bus({ 'revocations.v1': [50], 'grants.v1': [100, 3, 4] }), had)
  await assertBusKept(bus({}), {})
})

it.each([
  ['one message short', { 'revocations.v1': [4], 'grants.v1': [10, 0, 1] }, 'revocations.v1/0 ends at 4'],
  ['an empty topic', { 'revocations.v1': [5], 'grants.v1': [0, 0, 0] }, 'grants.v1/0 ends at 0'],
  ['a topic that is gone', { 'grants.v1': [10, 0, 1] }, 'revocations.v1/0 ends at 0'],
  ['a partition that is gone', { 'revocations.v1': [5], 'grants.v1': [10] }, 'grants.v1/2 ends at 0'],
])('refuses %s: what was revoked since would live again (V7)', async (_what, ends, message) => {
  const older = { code: 'log_inconsistent', message: expect.stringContaining(message) }
  await expect(assertBusKept(bus(ends), had)).rejects.toMatchObject(older)
})
