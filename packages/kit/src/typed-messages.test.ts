import fc from 'fast-check'
import { expect, it } from 'vitest'
import { TypedMessages } from './typed-messages.ts'

const messageOf = (type: string, body: Uint8Array) => {
  const head = Buffer.alloc(5)
  head.write(type, 'latin1')
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}

it('finds the same messages however the stream is cut', () => {
  const message = fc.record({ type: fc.constantFrom('Q', 'P', 'd'), body: fc.uint8Array({ maxLength: 40 }) })
  fc.assert(
    fc.property(fc.array(message), fc.array(fc.integer({ min: 1, max: 20 })), (messages, cuts) => {
      const stream = Buffer.concat(messages.map(({ type, body }) => messageOf(type, body)))
      const reader = new TypedMessages()
      const found: { type: string; body: number[] }[] = []
      let consumed = 0
      let ended = 0
      for (let n = 0; consumed < stream.length; n++) {
        const chunk = stream.subarray(consumed, consumed + (cuts[n % cuts.length] ?? stream.length))
        reader.read(chunk, {
          begin: (type) => found.push({ type, body: [] }),
          part: (bytes) => found.at(-1)?.body.push(...bytes),
          end: (at) => {
            ended = consumed + at
          },
        })
        consumed += chunk.length
      }
      expect(found).toEqual(messages.map(({ type, body }) => ({ type, body: [...body] })))
      expect([ended, reader.isBetween]).toEqual([stream.length, true])
    }),
  )
})

it('knows that a message is not whole', () => {
  const reader = new TypedMessages()
  for (const byte of messageOf('Q', Buffer.from('x')).subarray(0, 5)) {
    reader.read(Uint8Array.of(byte), {})
    expect(reader.isBetween).toBe(false)
  }
})

it.each([0, 3, -1])('throws for the length %d', (length) => {
  const head = Buffer.from('Q0000')
  head.writeInt32BE(length, 1)
  expect(() => new TypedMessages().read(head, {})).toThrow(RangeError)
})
