import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { Bus } from '../bus.ts'
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
    erasable: (topic) => topic === 'values',
  })

const event = (key: string, text: string) => ({ key, bytes: Buffer.from(text) })

async function read(bus: Bus): Promise<[number, string][]> {
  const found: [number, string][] = []
  await using follower = await bus.follow(['values'], 'start', async (batch) => {
    for (const { offset, bytes } of batch) found.push([offset, Buffer.from(bytes).toString()])
  })
  await follower.caughtUp
  return found
}

/** Files below the bus's folder that hold these words, wherever in them. */
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
  // A power cut that took the removal back, and one before the transaction.
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
