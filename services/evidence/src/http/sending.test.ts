import { EventEmitter } from 'node:events'
import { expect, it } from 'vitest'
import { Sending } from './sending.ts'

const file = (bytes: number) => async () => new Uint8Array(bytes)

/** A caller that asks for a file of this many bytes, and reads nothing until `over`. */
function stalled(sending: Sending, caller: string, bytes: number) {
  const response = new EventEmitter()
  const answer = sending.read(caller, response as never, file(bytes)).then(
    (read) => read?.length,
    ({ code }: { code: string }) => code,
  )
  return { answer, over: () => response.emit('close') }
}

it('keeps no more in memory for 200 readers that stall than one caller may have under way (V18)', async () => {
  const sending = new Sending({ caller: 1000, all: 3000 })
  const readers = Array.from({ length: 200 }, () => stalled(sending, '192.0.2.1', 100))
  const answers = await Promise.all(readers.map(({ answer }) => answer))
  expect(answers.filter((answer) => answer === 100)).toHaveLength(10)
  expect(new Set(answers)).toEqual(new Set([100, 'rate_limited']))
  expect(await stalled(sending, '198.51.100.1', 100).answer).toBe(100)
  for (const { over } of readers) over()
  expect(await stalled(sending, '192.0.2.1', 1000).answer).toBe(1000)
})

it('keeps no more in memory for all callers together than is said (V18)', async () => {
  const sending = new Sending({ caller: 1000, all: 3000 })
  const readers = Array.from({ length: 200 }, (_, n) => stalled(sending, `192.0.2.${n}`, 500))
  const answers = await Promise.all(readers.map(({ answer }) => answer))
  expect(answers.filter((answer) => answer === 500)).toHaveLength(6)
  expect(await stalled(sending, '198.51.100.1', 1).answer).toBe('rate_limited')
})

it('gives a file that is larger than a share to who has none under way', async () => {
  const sending = new Sending({ caller: 1000, all: 3000 })
  expect(await stalled(sending, '192.0.2.1', 2000).answer).toBe(2000)
  expect(await stalled(sending, '192.0.2.1', 1).answer).toBe('rate_limited')
})

it('holds nothing for who hung up while the file was being read', async () => {
  const sending = new Sending({ caller: 1000, all: 1000 })
  const response = new EventEmitter()
  await sending.read('192.0.2.1', response as never, async () => {
    response.emit('close')
    return new Uint8Array(1000)
  })
  expect(await stalled(sending, '192.0.2.1', 1000).answer).toBe(1000)
})
