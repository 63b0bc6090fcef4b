import { expect, it } from 'vitest'
import { whole } from '../servers/channel.ts'
import { Shares } from './shares.ts'

const made = async () => ({ status: 200, headers: [], body: whole(Buffer.from('a')) })
const never = new AbortController().signal
const refused = { code: 'call_not_begun' }

it.each<[string, (body: AsyncIterable<Uint8Array>, cut: AbortController) => unknown]>([
  [
    'was read to its end',
    async (body) => {
      for await (const _ of body);
    },
  ],
  ['was given up', (body) => body[Symbol.asyncIterator]().return?.()],
  ['was cut, and is read by no one', (_, cut) => cut.abort()],
])('counts an answer until it %s (V18)', async (_, end) => {
  const shares = new Shares(() => ({ streams: 1, processes: 1, sessions: 1 }))
  const cut = new AbortController()
  const { body } = await shares.of('a', cut.signal, made)
  expect(() => shares.checkStreams('a')).toThrow(expect.objectContaining({ code: 'queue_full' }))
  await expect(shares.of('a', never, made)).rejects.toMatchObject(refused)
  await shares.of('b', never, made)
  await end(body, cut)
  shares.checkStreams('a')
  await shares.of('a', never, made)
  await expect(shares.of('a', never, made)).rejects.toMatchObject(refused)
})

it('counts one that is not there yet, and none that failed', async () => {
  const shares = new Shares(() => ({ streams: 1, processes: 1, sessions: 1 }))
  const failing = shares.of('a', never, async () => {
    await new Promise(setImmediate)
    throw new Error('the server is away')
  })
  expect(() => shares.checkStreams('a')).toThrow(expect.objectContaining({ code: 'queue_full' }))
  await expect(failing).rejects.toThrow('away')
  shares.checkStreams('a')
})

it('goes by what the file says now', async () => {
  let streams = 1
  const shares = new Shares(() => ({ streams, processes: 1, sessions: 1 }))
  await shares.of('a', never, made)
  streams = 2
  await shares.of('a', never, made)
  streams = 1
  await expect(shares.of('a', never, made)).rejects.toMatchObject(refused)
})
