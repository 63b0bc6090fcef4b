import { saltedHash } from '@bailiwick/credentials'
import { expect, it } from 'vitest'
import { KeptCalls } from './kept-calls.ts'

const call = (n: number) => ({ salt: Buffer.alloc(16, n).toString('base64url'), text: `{"n":${n}}` })

/** A bus that holds every publish until the test lets it go. */
function handing() {
  const published: { type: string; subject: string; data: object }[][] = []
  const gates: PromiseWithResolvers<void>[] = []
  const producer = {
    publish: async (topic: string, drafts: (typeof published)[number]) => {
      expect(topic).toBe('attachments.policy-decision.v1')
      published.push(drafts)
      const gate = Promise.withResolvers<void>()
      gates.push(gate)
      await gate.promise
      return []
    },
  }
  return { published, gates, calls: new KeptCalls(producer as never) }
}

it('hands over each call with its salt under its own hash, after the decisions that wait', async () => {
  const { published, gates, calls } = handing()
  calls.keep('dec_1', call(1))
  expect(published).toEqual([])
  await expect.poll(() => published.length, { timeout: 60_000 }).toBe(1)
  const hash = saltedHash(call(1))
  const attachment_id = `att_${hash}`
  expect(published[0]).toEqual([
    {
      type: 'attachment.stored',
      subject: attachment_id,
      data: { attachment_id, about: 'dec_1', ...call(1), salted_sha256: hash },
    },
  ])
  gates[0]?.reject(new Error('not read back in time'))
  await calls[Symbol.asyncDispose]()
})

it('erases behind what waits to be handed over, so that nothing comes back after it (V17)', async () => {
  const { published, gates, calls } = handing()
  calls.keep('dec_1', call(1))
  const attachment_id = `att_${saltedHash(call(1))}`
  const erasure = { attachment_id, about: 'dec_1', by: 'operator', reason: 'secret' as const }
  const erased = calls.erase([erasure])
  await expect.poll(() => gates.length, { timeout: 60_000 }).toBe(1)
  expect(published.flat().map(({ type }) => type)).toEqual(['attachment.stored'])
  gates[0]?.resolve()
  await expect.poll(() => gates.length, { timeout: 60_000 }).toBe(2)
  gates[1]?.resolve()
  await erased
  expect(published[1]).toEqual([{ type: 'attachment.erased', subject: attachment_id, data: erasure }])
})

it('hands over no call that was erased before its decision was answered (V17)', async () => {
  const published: { type: string; data: object }[] = []
  const calls = new KeptCalls({
    publish: async (_: string, drafts: typeof published) => published.push(...drafts),
  } as never)
  const attachment_id = `att_${saltedHash(call(1))}`
  const erased = calls.erase([{ attachment_id, about: 'dec_1', by: 'operator', reason: 'secret' }])
  // The decision's event is in the log as soon as it is durable. The answer, and the call with it, come a little later.
  calls.keep('dec_1', call(1))
  calls.keep('dec_2', call(2))
  await erased
  calls.keep('dec_1', call(1))
  await calls[Symbol.asyncDispose]()
  const stored = published.filter(({ type }) => type === 'attachment.stored')
  expect(stored).toMatchObject([{ data: { about: 'dec_2' } }])
  expect(published).toHaveLength(2)
})

it('takes no call that an attachment cannot hold, and none when a thousand wait (V18)', async () => {
  const { gates, published, calls } = handing()
  expect([calls.takes('x'.repeat(20_000)), calls.takes('x'.repeat(20_001))]).toEqual([true, false])
  for (let n = 0; n < 1000; n++) calls.keep(`dec_${n}`, call(n % 256))
  expect(calls.takes('{}')).toBe(false)
  // Once the first batch leaves, there is room again.
  await expect.poll(() => published.length, { timeout: 60_000 }).toBe(1)
  expect(calls.takes('{}')).toBe(true)
  for (let n = 0; n < 16; n++) {
    await expect.poll(() => gates.length, { timeout: 60_000 }).toBe(n + 1)
    gates[n]?.resolve()
  }
  await calls[Symbol.asyncDispose]()
  expect(published.flat()).toHaveLength(1000)
})
