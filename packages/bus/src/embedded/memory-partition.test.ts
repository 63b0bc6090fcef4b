import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { Bus, Handled, Message } from '../bus.ts'
import { embeddedBus } from './embedded-bus.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'bailiwick-bus-'))
})
afterEach(() => rm(dir, { recursive: true }))

let now = 0
const open = () =>
  embeddedBus({
    dir,
    partitions: () => 1,
    retentionMs: () => undefined,
    now: () => now,
    inMemory: (topic) => topic === 'heads.v1',
  })

const head = (n: number) => ({ key: 'producer', bytes: Buffer.from(`head-${n}`) })

async function read(bus: Bus, time?: number): Promise<Message[]> {
  const messages: Message[] = []
  const since = time === undefined ? 'start' : { time }
  await using follower = await bus.follow(['heads.v1'], since, async (batch) => void messages.push(...batch))
  await follower.caughtUp
  return messages
}

it('serves a topic in memory as it serves the others, and forgets it with the process', async () => {
  {
    await using bus = await open()
    const live: string[] = []
    await using _ = await bus.follow(['heads.v1'], 'start', async (batch) => {
      for (const { bytes } of batch) live.push(Buffer.from(bytes).toString())
    })
    for (now of [10, 20, 30]) await bus.publish('heads.v1', [head(now)])
    expect(await bus.ends('heads.v1')).toEqual([3])
    expect((await read(bus)).map(({ offset, timestamp }) => [offset, timestamp])).toEqual([
      [0, 10],
      [1, 20],
      [2, 30],
    ])
    expect(await read(bus, 20)).toHaveLength(2)
    expect(await read(bus, 31)).toHaveLength(0)
    expect(live).toEqual(['head-10', 'head-20', 'head-30'])
    await expect(bus.publish('heads.v1', [{ key: '', bytes: new Uint8Array(65_536) }])).rejects.toMatchObject({
      code: 'event_too_large',
    })
  }
  await using bus = await open()
  expect(await bus.ends('heads.v1')).toEqual([0])
})

it('holds no more than its newest messages, however many were published', async () => {
  await using bus = await open()
  for (let n = 0; n < 100; n += 1) {
    await bus.publish(
      'heads.v1',
      Array.from({ length: 100 }, (_, m) => head(n * 100 + m)),
    )
  }
  const messages = await read(bus)
  expect(messages.length).toBeLessThan(2048)
  expect(messages.length).toBeGreaterThanOrEqual(1024)
  expect(messages.at(-1)).toMatchObject({ offset: 9999, bytes: new Uint8Array(Buffer.from('head-9999')) })
  expect(messages[0]?.offset).toBe(10_000 - messages.length)
})

it('remembers where a group stands for as long as the topic lives, and no longer', async () => {
  const consumed = async (bus: Bus, count: number) => {
    const offsets: number[] = []
    const enough = Promise.withResolvers<void>()
    await using _ = await bus.consume(['heads.v1'], 'group', async (batch) => {
      for (const { offset } of batch) offsets.push(offset)
      if (offsets.length >= count) enough.resolve()
      return batch.map((): Handled => 'done')
    })
    await enough.promise
    return offsets
  }
  {
    await using bus = await open()
    await bus.publish('heads.v1', [head(0), head(1)])
    expect(await consumed(bus, 2)).toEqual([0, 1])
    await bus.publish('heads.v1', [head(2)])
    expect(await consumed(bus, 1)).toEqual([2])
  }
  await using bus = await open()
  await bus.publish('heads.v1', [head(3)])
  expect(await consumed(bus, 1)).toEqual([0])
})
