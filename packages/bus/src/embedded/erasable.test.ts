import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { Bus, Handled } from '../bus.ts'
import { embeddedBus } from './embedded-bus.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'bailiwick-bus-erase-'))
})
afterEach(() => rmSync(dir, { recursive: true }))

let now = 0
const open = (retention?: number) =>
  embeddedBus({
    dir,
    partitions: () => 1,
    retentionMs: () => retention,
    now: () => now,
    erasable: (topic) => (topic === 'values' ? 'by_key' : topic === 'asks' ? 'once_handled' : undefined),
  })

const event = (key: string, text: string) => ({ key, bytes: Buffer.from(text) })

/** Takes messages until one contains `last`. Answers `again` to messages with that word as long as this group lives. */
async function take(bus: Bus, last: string): Promise<string[]> {
  const taken: string[] = []
  const done = Promise.withResolvers<void>()
  await using _ = await bus.consume(['asks'], 'taker', async (batch) => {
    const answers: Handled[] = []
    for (const { bytes } of batch) {
      const text = Buffer.from(bytes).toString()
      taken.push(text)
      if (text.includes(last)) done.resolve()
      answers.push(text.includes('again') ? { again: 60_000 } : text.includes('nonsense') ? 'refused' : 'done')
    }
    return answers
  })
  await done.promise
  return taken
}

async function read(bus: Bus, topic = 'values'): Promise<[number, string][]> {
  const found: [number, string][] = []
  await using follower = await bus.follow([topic], 'start', async (batch) => {
    for (const { offset, bytes } of batch) found.push([offset, Buffer.from(bytes).toString()])
  })
  await follower.caughtUp
  return found
}

/** Files below the bus's folder that contain these words. */
function holding(words: string): string[] {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => readFileSync(file).includes(words))
}

it('takes what a key said before away from readers and from the disk (V17)', async () => {
  await using bus = await open()
  await bus.publish('values', [event('a', 'secret-words-of-a'), event('b', 'words-of-b')])
  expect(holding('secret-words-of-a')).toHaveLength(1)
  const consumed: string[] = []
  await bus.publish('values', [event('a', 'gone')])
  expect(holding('secret-words-of-a')).toEqual([])
  expect(await read(bus)).toEqual([
    [1, 'words-of-b'],
    [2, 'gone'],
  ])
  const later = Promise.withResolvers<void>()
  await using _ = await bus.consume(['values'], 'late', async (batch) => {
    for (const { bytes } of batch) consumed.push(Buffer.from(bytes).toString())
    if (consumed.length === 2) later.resolve()
    return batch.map(() => 'done')
  })
  await later.promise
  expect(consumed).toEqual(['words-of-b', 'gone'])
})

it('passes over any number that were taken away', async () => {
  await using bus = await open()
  for (let n = 0; n < 3; n++)
    await bus.publish(
      'values',
      Array.from({ length: 200 }, () => event('a', 'again')),
    )
  await bus.publish('values', [event('b', 'another')])
  expect(await read(bus)).toEqual([
    [599, 'again'],
    [600, 'another'],
  ])
})

it('keeps what counts over a restart, and clears away what a crash left', async () => {
  {
    await using bus = await open()
    await bus.publish('values', [event('a', 'first'), event('b', 'other'), event('a', 'second')])
  }
  const folder = join(dir, 'erasable/values/0')
  expect(readdirSync(folder).sort()).toEqual(['1', '2'])
  // Simulates a power cut that undid the removal, and one before the transaction.
  writeFileSync(join(folder, '0'), 'first')
  writeFileSync(join(folder, '3'), 'never committed')
  await using bus = await open()
  expect(readdirSync(folder).sort()).toEqual(['1', '2'])
  expect(await read(bus)).toEqual([
    [1, 'other'],
    [2, 'second'],
  ])
  await bus.publish('values', [event('a', 'third')])
  expect(await read(bus)).toEqual([
    [1, 'other'],
    [3, 'third'],
  ])
})

it('removes the files of what is no longer kept', async () => {
  now = 1000
  {
    await using bus = await open()
    await bus.publish('values', [event('a', 'too old')])
    now = 5000
    await bus.publish('values', [event('b', 'new')])
  }
  {
    await using bus = await open(1000)
    expect(await read(bus)).toEqual([[1, 'new']])
  }
  expect(holding('too old')).toEqual([])
})

it('takes what its reader handled away from the disk, and nothing else (V17)', async () => {
  await using bus = await open()
  await bus.publish('asks', [event('a', 'first words'), event('a', 'nonsense words'), event('b', 'words again')])
  expect(holding('words')).toHaveLength(3)
  // The subscription ends only after the handled messages are committed.
  expect(await take(bus, 'again')).toEqual(['first words', 'nonsense words', 'words again'])
  expect(holding('first words')).toEqual([])
  expect(holding('nonsense words')).toEqual([])
  expect(await read(bus, 'asks')).toEqual([[2, 'words again']])
  await expect(bus.consume(['values', 'asks'], 'another', async () => [])).rejects.toMatchObject({
    code: 'config_invalid',
  })
})

it('gives its reader each once over restarts, and clears away what a crash left of those that were handled', async () => {
  const folder = join(dir, 'erasable/asks/0')
  {
    await using bus = await open()
    await bus.publish('asks', [event('a', 'one'), event('a', 'two')])
    expect(await take(bus, 'two')).toEqual(['one', 'two'])
    expect(await read(bus, 'asks')).toEqual([])
    await bus.publish('asks', [event('a', 'three')])
  }
  writeFileSync(join(folder, '1'), 'two')
  {
    await using bus = await open()
    expect(await take(bus, 'three')).toEqual(['three'])
    expect(readdirSync(folder)).toEqual([])
  }
  await using bus = await open()
  await bus.publish('asks', [event('a', 'four')])
  expect(await take(bus, 'four')).toEqual(['four'])
  expect(await bus.ends('asks')).toEqual([4])
})
