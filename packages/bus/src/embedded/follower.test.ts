import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { Message } from '../bus.ts'
import { embeddedBus } from './embedded-bus.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'bailiwick-bus-'))
})
afterEach(() => rm(dir, { recursive: true }))

const open = () => embeddedBus({ dir, partitions: () => 2, retentionMs: () => undefined, now: () => 0 })

const events = (count: number, size: number) =>
  Array.from({ length: count }, (_, n) => ({ key: `key-${n}`, bytes: Buffer.alloc(size, 'x') }))

it.each([
  [1000, 10],
  [60, 60_000],
])('hands over %i events of %i bytes in batches of bounded number and size', async (count, size) => {
  await using bus = await open()
  await bus.publish('topic', events(count, size))
  const batches: (readonly Message[])[] = []
  await using follower = await bus.follow(['topic'], 'start', async (batch) => void batches.push(batch))
  await follower.caughtUp
  expect(batches.flat()).toHaveLength(count)
  for (const batch of batches) {
    expect(batch.length).toBeLessThanOrEqual(256)
    expect(batch.slice(0, -1).reduce((sum, { bytes }) => sum + bytes.length, 0)).toBeLessThan(1 << 20)
  }
})

it('lets a long backlog in one topic hold no other topic up', async () => {
  await using bus = await open()
  await bus.publish('backlog', events(5000, 10))
  await bus.publish('urgent', events(1, 10))
  const topics: string[] = []
  await using follower = await bus.follow(['backlog', 'urgent'], 'start', async (batch) => {
    for (const { topic } of batch) topics.push(topic)
  })
  await follower.caughtUp
  expect(topics.indexOf('urgent')).toBeLessThan(1100)
})

it('lets the process do other work during a long backlog', async () => {
  await using bus = await open()
  await bus.publish('topic', events(5000, 10))
  let turns = 0
  const count = () => {
    turns += 1
    next = setImmediate(count)
  }
  let next = setImmediate(count)
  await using follower = await bus.follow(['topic'], 'start', async () => {})
  await follower.caughtUp
  clearImmediate(next)
  expect(turns).toBeGreaterThan(5)
})

it('rejects caughtUp when it is disposed of first, and leaves failed alone', async () => {
  await using bus = await open()
  await bus.publish('topic', events(1, 10))
  const gate = Promise.withResolvers<void>()
  const entered = Promise.withResolvers<void>()
  const follower = await bus.follow(['topic'], 'start', () => {
    entered.resolve()
    return gate.promise
  })
  let failed = false
  follower.failed.catch(() => {
    failed = true
  })
  const caughtUp = expect(follower.caughtUp).rejects.toMatchObject({ code: 'bus_unavailable' })
  await entered.promise
  const disposed = follower[Symbol.asyncDispose]()
  gate.reject(new Error('its owner is gone'))
  await disposed
  await caughtUp
  expect(failed).toBe(false)
})

it('ends in an orderly way while a consumer waits for what it publishes to come back', async () => {
  await using bus = await open()
  const seen = new Set<string>()
  const wanted = Promise.withResolvers<void>()
  const entered = Promise.withResolvers<void>()
  await bus.follow(['answers'], 'start', async (batch) => {
    for (const { key } of batch) seen.add(key)
    wanted.resolve()
  })
  const questions = await bus.consume(['questions'], 'group', async (batch) => {
    entered.resolve()
    await new Promise((resolve) => setTimeout(resolve, 20))
    await bus.publish('answers', events(1, 1))
    await wanted.promise
    return batch.map(() => 'done' as const)
  })
  await bus.publish('questions', events(1, 1))
  await entered.promise
  await bus[Symbol.asyncDispose]()
  expect(seen.size).toBe(1)
  expect(questions.refused.size).toBe(0)
})
