import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import { eventWith, readEvents } from './event-stream.ts'

async function* chunks(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  let at = 0
  for (let n = 0; at < bytes.length; n++) {
    const size = sizes[n % sizes.length] ?? 1
    yield bytes.subarray(at, at + size)
    at += size
  }
}

async function read(text: string, sizes: readonly number[] = [7], most = 1_000_000) {
  const events: { raw: string; data: string | undefined }[] = []
  for await (const { raw, data } of readEvents(chunks(Buffer.from(text), sizes), most))
    events.push({ raw: Buffer.from(raw).toString(), data })
  return events
}

it('reads the same events however the bytes are cut, and keeps every byte', async () => {
  const line = fc.constantFrom(
    'data: {"a":1}',
    'data:x',
    'data',
    ': comment',
    'id: 7',
    'event: message',
    'retry: 3',
    'other: y',
    'data: é',
  )
  const end = fc.constantFrom('\n', '\r\n', '\r')
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.array(line, { maxLength: 3 }), end)),
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 }),
      async (parts, sizes) => {
        // The last line end decides nothing: a lone CR could be half of one.
        const text = `${parts.map(([lines, ends]) => `${[...lines, ''].join(ends)}${ends}`).join('')}data: end\n\n`
        const whole = await read(text, [text.length])
        expect(await read(text, sizes)).toEqual(whole)
        expect(whole.map(({ raw }) => raw).join('')).toBe(text)
      },
    ),
  )
})

it('joins the lines of one event', async () => {
  expect(await read('data: a\ndata:b\nid: 1\n\n: note\n\ndata\n\n')).toMatchObject([
    { data: 'a\nb' },
    { data: undefined },
    { data: '' },
  ])
})

it('leaves out what has no blank line, and ends at a limit', async () => {
  expect(await read('data: a\n\ndata: cut')).toMatchObject([{ data: 'a' }])
  await expect(read(`data: ${'x'.repeat(200)}`, [50], 100)).rejects.toMatchObject({ code: 'upstream_too_large' })
})

it.each(['\n', '\r\n', '\r'])(
  'puts another text into an event whose lines end with %j, and keeps its id',
  async (end) => {
    const raw = Buffer.from(['id: 7', 'event: message', 'data: {"a":', 'data: 1}', '', ''].join(end))
    const changed = Buffer.from(eventWith({ raw, data: '{"a":\n1}' }, '{"a":\n2}')).toString()
    expect(changed).toBe('id: 7\nevent: message\ndata: {"a":\ndata: 2}\n\n')
    expect(await read(changed)).toEqual([{ raw: changed, data: '{"a":\n2}' }])
  },
)
