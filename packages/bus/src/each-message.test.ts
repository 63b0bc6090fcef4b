import { expect, it } from 'vitest'
import type { Handled, Message } from './bus.ts'
import { eachMessage } from './each-message.ts'

const batch: Message[] = ['a', 'b', 'c', 'd'].map((key, offset) => {
  return { topic: 'topic', partition: 0, offset, key, timestamp: 0, bytes: new Uint8Array() }
})

it('answers for each message, and stops at the first that must come again', async () => {
  const answers: Record<string, Handled> = { b: 'refused', c: { again: 70 } }
  const handled: string[] = []
  const handler = eachMessage(async ({ key }) => {
    handled.push(key)
    return answers[key] ?? 'done'
  })
  expect(await handler(batch)).toEqual(['done', 'refused', { again: 70 }, { again: 70 }])
  expect(handled).toEqual(['a', 'b', 'c'])
})

it('keeps what was handled before an error, and lets the bus back off when the culprit is first', async () => {
  const handler = eachMessage(async ({ key }) => {
    if (key === 'b') throw new Error('not now')
    return 'done'
  })
  expect(await handler(batch)).toEqual(['done', { again: 0 }, { again: 0 }, { again: 0 }])
  await expect(handler(batch.slice(1))).rejects.toThrow('not now')
})
