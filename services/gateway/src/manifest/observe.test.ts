import type { Executed } from '@bailiwick/relay'
import { expect, it } from 'vitest'
import type { Channel } from '../servers/channel.ts'
import { ask, initialize } from './observe.ts'

const answer = (type: string, body: AsyncIterable<Uint8Array>): Executed => ({
  status: 200,
  headers: ['content-type', type],
  body,
})

async function* once(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text)
}

/** Events, or JSON, without an end; counts what was read, and whether it was given up. */
function endless(chunk: Uint8Array) {
  const read = { bytes: 0, isOver: false }
  async function* body(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        read.bytes += chunk.length
        // A reader without a bound must end too, or this test would not.
        if (read.bytes > 64 * 1024 * 1024) return
        yield chunk
      }
    } finally {
      read.isOver = true
    }
  }
  return { read, body: body() }
}

it('reads nothing of what a server answers to a notification', async () => {
  const { read, body } = endless(Buffer.from(': x\n\n'.repeat(10_000)))
  const hello = '{"jsonrpc":"2.0","id":"i","result":{"serverInfo":{"name":"s"},"capabilities":{}}}'
  const answers = [answer('application/json', once(hello)), answer('text/event-stream', body)]
  const channel = { era: 'legacy', exchange: async () => answers.shift() } as unknown as Channel
  expect(await initialize(channel, () => 'i')).toMatchObject({ serverInfo: { name: 's' } })
  expect(read.bytes).toBe(0)
})

it('reads an answer up to the limit of one message', async () => {
  const { read, body } = endless(Buffer.alloc(1 << 20, ' '))
  const channel = {
    era: 'legacy',
    exchange: async () => answer('application/json', body),
  } as unknown as Channel
  await expect(ask(channel, 'i', 'tools/list', {})).rejects.toMatchObject({ code: 'upstream_too_large' })
  expect(read.isOver).toBe(true)
})
