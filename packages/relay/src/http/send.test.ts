import { Writable } from 'node:stream'
import { withResolvers } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import { pour } from './send.ts'

const parts = ['one', 'two'].map((text) => Buffer.from(text))

/** A body that says when it was read to its end. */
function body() {
  const seen = { isOver: false }
  async function* made() {
    yield* parts
    seen.isOver = true
  }
  return { seen, made: made() }
}

it('a body has not ended for its source before its last part has left (V18)', async () => {
  const { seen, made } = body()
  const left: (() => void)[] = []
  const reader = new Writable({ write: (_, __, done) => void left.push(done) })
  const poured = pour(reader, made, new Promise(() => undefined))
  for (const [n] of parts.entries()) {
    await expect.poll(() => left.length).toBe(n + 1)
    expect(seen.isOver).toBe(false)
    left[n]?.()
  }
  await poured
  expect(seen.isOver).toBe(true)
})

it.each<[string, (reader: Writable, over: () => void) => void]>([
  ['its reader goes', (reader) => reader.destroy()],
  ['the call ends', (_, over) => over()],
])('a body that is not read goes on once %s', async (_, happens) => {
  const { made } = body()
  const { promise: over, resolve } = withResolvers<void>()
  const reader = new Writable({ write: () => undefined })
  const poured = pour(reader, made, over)
  await new Promise((resolve) => setTimeout(resolve, 20))
  happens(reader, resolve)
  reader.destroy()
  await poured
})
