import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemFs } from '@bailiwick/kit'
import { afterAll, describe, expect, it } from 'vitest'
import { aFeed, eventually } from './feed.fixture.ts'
import type { Delivered, Destination } from './feed.ts'
import { FeedPosition } from './feed-position.ts'

const folder = mkdtempSync(join(tmpdir(), 'feed-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** A destination that keeps what it gets, and answers as the test says. */
function aDestination(
  answer: (indexes: readonly number[], nth: number) => Delivered | Promise<Delivered>,
  bound = 1e9,
) {
  const given: number[][] = []
  const destination: Destination = {
    name: 'otlp',
    batch: 10,
    bound,
    deliver: async (batch) => {
      given.push(batch.map(({ index }) => index))
      return answer(given.at(-1) ?? [], given.length)
    },
  }
  return { destination, given }
}
const all = (indexes: readonly number[]): Delivered => ({ taken: indexes.length })
const upTo = (end: number, from = 0) => Array.from({ length: end - from }, (_, n) => from + n)

it('passes all leaves on, in order, and what comes later when it is woken', async () => {
  const { destination, given } = aDestination(all)
  const { feed, log, position } = aFeed(destination, 25)
  await eventually(() => position()?.next === 25)
  log.size = 31
  feed.wake()
  await eventually(() => position()?.next === 31)
  await feed[Symbol.asyncDispose]()
  expect(given.flat()).toEqual(upTo(31))
})

it('goes on where it was, and with what was not taken', async () => {
  const { destination, given } = aDestination((indexes) => ({ taken: Math.min(3, indexes.length) }))
  const { feed, position } = aFeed(destination, 20, { at: { next: 12, dropped: [] } })
  await eventually(() => position()?.next === 20)
  await feed[Symbol.asyncDispose]()
  expect(given.map(([first]) => first)).toEqual([12, 15, 18])
})

it('tries again what failed, however it failed, and drops none of it', async () => {
  const { destination, given } = aDestination((indexes, nth) => {
    if (nth === 1) throw new Error('away')
    return nth < 5 ? { again: 0 } : all(indexes)
  })
  const { feed, position, told, counted } = aFeed(destination, 10)
  await eventually(() => position()?.next === 10)
  await feed[Symbol.asyncDispose]()
  expect(given).toEqual(Array.from({ length: 5 }, () => upTo(10)))
  expect(told).toEqual([])
  expect(await counted('failures_total')).toBe(4)
})

it('waits as long as it is asked to', async () => {
  const { destination, given } = aDestination((indexes, nth) => (nth === 1 ? { again: 300 } : all(indexes)))
  const began = performance.now()
  const { feed, position } = aFeed(destination, 1)
  await eventually(() => position()?.next === 1)
  expect(performance.now() - began).toBeGreaterThan(290)
  await feed[Symbol.asyncDispose]()
  expect(given).toHaveLength(2)
})

it('drops what is beyond its bound, counts it, tells of it, and delivers all within (V15)', async () => {
  let away = true
  const { destination, given } = aDestination((indexes) => (away ? { again: 0 } : all(indexes)), 100)
  const { feed, log, told, position, text } = aFeed(destination, 50)
  await eventually(() => given.length > 2)
  log.size = 350
  await eventually(() => told.length > 0)
  away = false
  await eventually(() => position()?.next === 350)
  await feed[Symbol.asyncDispose]()
  expect(told).toEqual([{ reason: 'backlog', from: 0, to: 249, count: 250 }])
  const taken = given.slice(given.findIndex(([first]) => first === 250)).flat()
  expect([...new Set(taken)]).toEqual(upTo(350, 250))
  expect(await text()).toContain('evidence_feed_dropped_total{feed="otlp",reason="backlog",service="feed-test"} 250')
})

it('begins within its bound where it never was, and calls that no loss', async () => {
  const { destination, given } = aDestination(all, 100)
  const { feed, position, told } = aFeed(destination, 350)
  await eventually(() => position()?.next === 350)
  await feed[Symbol.asyncDispose]()
  expect(given.flat()).toEqual(upTo(350, 250))
  expect(told).toEqual([])
})

it('does not ask again for what was refused, and makes it evidence, once for all of it', async () => {
  const { destination, given } = aDestination((indexes, nth) => ({
    taken: indexes.length,
    refused: nth === 1 ? 2 : 10,
  }))
  const { feed, position, told } = aFeed(destination, 30, {
    paces: { positionMs: 0, tellMs: 60_000, leastWaitMs: 1, mostWaitMs: 1 },
  })
  await eventually(() => position()?.next === 30)
  await feed[Symbol.asyncDispose]()
  expect(given.flat()).toEqual(upTo(30))
  // The first is reported at once. The others wait for their minute, and a stop does not forget them.
  expect(told).toEqual([{ reason: 'refused', from: 0, to: 9, count: 2 }])
  expect(position()).toEqual({ next: 30, dropped: [{ reason: 'refused', from: 10, to: 29, count: 20 }] })
})

it('tells after a start of what was dropped before a crash', async () => {
  const { destination } = aDestination(all)
  const dropped = { reason: 'backlog', from: 3, to: 7, count: 5 } as const
  const { feed, told, position } = aFeed(destination, 10, { at: { next: 8, dropped: [dropped] } })
  await eventually(() => position()?.next === 10)
  await feed[Symbol.asyncDispose]()
  expect(told).toEqual([dropped])
  expect(position()?.dropped).toEqual([])
})

it('does not tell for ever that its own findings were refused', async () => {
  const { destination } = aDestination((indexes) => ({ taken: indexes.length, refused: indexes.length }))
  const { feed, position, told, counted } = aFeed(destination, 20, { codes: 'leaves.dropped' })
  await eventually(() => position()?.next === 20)
  await feed[Symbol.asyncDispose]()
  expect(told).toEqual([])
  expect(await counted('dropped_total{feed="otlp",reason="refused"')).toBe(20)
})

it('ends within its stop, also in the middle of a wait', async () => {
  const { destination, given } = aDestination(() => ({ again: 300_000 }))
  const { feed } = aFeed(destination, 10)
  await eventually(() => given.length > 0)
  await feed[Symbol.asyncDispose]()
  expect(given).toHaveLength(1)
})

it('goes on while its position cannot be written', async () => {
  const { destination, given } = aDestination(all)
  const full = { read: async () => undefined, write: () => Promise.reject(new Error('ENOSPC')) }
  const { feed } = aFeed(destination, 35, { position: full })
  await eventually(() => given.flat().length === 35)
  await feed[Symbol.asyncDispose]()
  expect(given.flat()).toEqual(upTo(35))
})

describe('a position', () => {
  const at = { next: 7, dropped: [{ reason: 'refused', from: 1, to: 5, count: 2 }] } as const
  const position = new FeedPosition(join(folder, 'new'), 'otlp', 'the-log')
  const path = join(folder, 'new', 'otlp.json')

  it('is read as it was written, and is none before', async () => {
    expect(await position.read(7)).toBeUndefined()
    await position.write(at)
    expect(await position.read(7)).toEqual(at)
  })

  it('is none that is cut off, edited, of another log, or beyond the log', async () => {
    await position.write(at)
    const whole = readFileSync(path, 'utf8')
    for (let length = 0; length < whole.length - 1; length++) {
      writeFileSync(path, whole.slice(0, length))
      expect([length, await position.read(7)]).toEqual([length, undefined])
    }
    for (const [from, to] of [
      ['"next":7', '"next":-7'],
      ['"next":7', '"next":"7"'],
      ['the-log', 'a-log'],
      ['"v":1', '"v":2'],
      ['{"v":1', '{"v":1,"v":1'],
    ] as const) {
      writeFileSync(path, whole.replace(from, to))
      expect([to, await position.read(7)]).toEqual([to, undefined])
    }
    await position.write(at)
    expect(await position.read(6)).toBeUndefined()
  })

  it('is the old one where the new one cannot be written', async () => {
    await position.write(at)
    const broken = new FeedPosition(join(folder, 'new'), 'otlp', 'the-log', {
      ...systemFs,
      rename: () => Promise.reject(new Error('ENOSPC')),
    })
    await expect(broken.write({ next: 8, dropped: [] })).rejects.toThrow('ENOSPC')
    expect(await position.read(9)).toEqual(at)
  })
})
