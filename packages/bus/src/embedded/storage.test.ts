import { execFile } from 'node:child_process'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { Message } from '../bus.ts'
import { type EmbeddedBusOptions, embeddedBus } from './embedded-bus.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'bailiwick-bus-'))
})
afterEach(() => rm(dir, { recursive: true }))

const open = (options: Partial<EmbeddedBusOptions> = {}) =>
  embeddedBus({ dir, partitions: () => 1, retentionMs: () => undefined, now: () => 0, ...options })

const event = (text: string) => ({ key: text, bytes: Buffer.from(text) })

async function read(bus: Awaited<ReturnType<typeof open>>, topic: string, time?: number): Promise<Message[]> {
  const messages: Message[] = []
  const since = time === undefined ? 'start' : { time }
  await using follower = await bus.follow([topic], since, async (batch) => void messages.push(...batch))
  await follower.caughtUp
  return messages
}

it('ends with outcome_unknown when the disk fails, and keeps all that it had acknowledged (V2, V13)', async () => {
  const child = new URL('./failing-disk-child.ts', import.meta.url).pathname
  // 800 blocks of 512 bytes (1,024 in some shells): a write beyond fails, as on a full disk.
  const script = 'ulimit -f 800; exec "$0" "$@"'
  const { stdout } = await promisify(execFile)('sh', ['-c', script, process.execPath, child, dir], { timeout: 20_000 })
  const lines = stdout.trim().split('\n')
  const { acknowledged, ...codes } = Object.assign({}, ...lines.map((line) => JSON.parse(line))) as Record<
    string,
    unknown
  >
  expect(codes).toEqual({
    first: 'outcome_unknown',
    next: 'outcome_unknown',
    follower: 'outcome_unknown',
    end: 'orderly',
  })
  expect(acknowledged).toBeGreaterThan(2)
  await using bus = await open()
  const messages = await read(bus, 'topic')
  // The message with the unknown outcome may or may not be there.
  expect([acknowledged, Number(acknowledged) + 1]).toContain(messages.length)
  expect(messages.every(({ bytes }) => bytes.length === 20_000 && bytes.every((byte) => byte === 120))).toBe(true)
})

it('is readable by its owner alone', async () => {
  const inner = join(dir, 'bus')
  await using _ = await open({ dir: inner })
  expect((await stat(inner)).mode & 0o777).toBe(0o700)
})

it('takes hardly more of the disk than its events have, published one at a time', async () => {
  await using bus = await open()
  const held = async () => (await stat(join(dir, 'messages.mdb'))).blocks * 512
  const size = 1700
  const publish = async (count: number) => {
    for (let n = 0; n < count; n++) await bus.publish('topic', [{ key: 'key', bytes: Buffer.alloc(size, 120) }])
  }
  await publish(50)
  const before = await held()
  await publish(400)
  expect(((await held()) - before) / 400).toBeLessThan(1.3 * size)
})

it('removes what is older than its topic keeps when it opens, and gives no offset out twice', async () => {
  let now = 1000
  const retentionMs = (topic: string) => (topic === 'short' ? 100 : undefined)
  const options = { now: () => now, retentionMs }
  for (const topic of ['short', 'long']) {
    await using bus = await open({ now: () => now })
    await bus.publish(topic, [event('a'), event('b')])
    now += 50
    await bus.publish(topic, [event('c')])
  }
  now = 1150 // of `short`, written at 1000 and 1050, the last is only just kept
  {
    await using bus = await open(options)
    expect((await read(bus, 'short')).map(({ offset }) => offset)).toEqual([2])
    expect((await read(bus, 'short', 0)).map(({ offset }) => offset)).toEqual([2])
    expect(await read(bus, 'long')).toHaveLength(3)
  }
  now = 10_000
  {
    await using bus = await open(options)
    expect(await read(bus, 'short')).toEqual([])
    expect(await bus.ends('short')).toEqual([3])
  }
  {
    // The topic stores no messages any more, but the next offset must still be new.
    await using bus = await open()
    expect(await read(bus, 'short')).toEqual([])
    expect(await bus.publish('short', [event('d')])).toEqual([{ topic: 'short', partition: 0, offset: 3 }])
    expect((await read(bus, 'short')).map(({ key }) => key)).toEqual(['d'])
  }
})

it('deletes a long past piece by piece while it works, and lets a group that was behind go on at what is left', async () => {
  let now = 0
  {
    await using bus = await open({ now: () => now })
    await bus.publish(
      'topic',
      Array.from({ length: 2500 }, (_, n) => event(`old-${n}`)),
    )
    now = 5000
    await bus.publish('topic', [event('new')])
  }
  {
    await using bus = await open({ now: () => now, retentionMs: () => 1000 })
    const got = Promise.withResolvers<string[]>()
    await using _ = await bus.consume(['topic'], 'group', async (batch) => {
      got.resolve(batch.map(({ key }) => key))
      return batch.map(() => 'done' as const)
    })
    expect(await got.promise).toEqual(['new'])
    expect(await bus.publish('topic', [event('newer')])).toMatchObject([{ offset: 2501 }])
  }
  await using bus = await open()
  const left = (await read(bus, 'topic')).map(({ offset }) => offset)
  expect(left.length).toBeLessThan(2502)
  expect(left.slice(-2)).toEqual([2500, 2501])
  expect(left).toEqual(Array.from({ length: left.length }, (_, n) => 2502 - left.length + n))
})

it('keeps the number of partitions with which a topic was first written, so that a key stays in order', async () => {
  {
    await using bus = await open({ partitions: () => 2 })
    expect(await bus.ends('read-only')).toEqual([0, 0])
    await bus.publish('topic', [event('a')])
  }
  await using bus = await open({ partitions: () => 5 })
  expect(await bus.ends('topic')).toHaveLength(2)
  expect(await bus.ends('read-only')).toHaveLength(5)
})

it('gives timestamps that never decrease, though the clock does', async () => {
  let now = 1000
  const options = { now: () => now }
  {
    await using bus = await open(options)
    await bus.publish('topic', [event('a')])
    now = 400
    await bus.publish('topic', [event('b')])
  }
  await using bus = await open(options)
  await bus.publish('topic', [event('c')])
  now = 2000
  await bus.publish('topic', [event('d')])
  expect((await read(bus, 'topic')).map(({ timestamp }) => timestamp)).toEqual([1000, 1000, 1000, 2000])
})

it('refuses a name or a number of partitions that no topic has', async () => {
  await using bus = await open({ partitions: (topic) => (topic === 'none' ? 0 : 1) })
  for (const topic of ['', 'a/b', 'a b', 'x'.repeat(250), 'none']) {
    await expect(bus.publish(topic, [event('a')])).rejects.toMatchObject({ code: 'config_invalid' })
  }
})
