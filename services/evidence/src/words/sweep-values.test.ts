import { mkdtempSync, readdirSync, rmSync, utimesSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { saltedHash } from '@bailiwick/credentials'
import { logger } from '@bailiwick/host'
import { testClock } from '@bailiwick/kit'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import type { Ends } from '../findings/gaps.ts'
import type { LeafQuery } from '../index/find-leaves.ts'
import type { Consumed } from '../log/tree-head.ts'
import { sweepValues } from './sweep-values.ts'
import { ValueStore } from './value-store.ts'

const topic = 'attachments.approval.v1'
const dayMs = 86_400_000
const words = (n: number) => ({ salt: Buffer.alloc(16, n).toString('base64url'), text: `CANARY-${n}` })
const hashOf = (n: number) => saltedHash(words(n)) ?? ''

let dir = ''
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sweep-'))
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
})
afterEach(() => {
  vi.useRealTimers()
  rmSync(dir, { recursive: true })
})

/** Values of a given age, in days, and a log that commits to some of them. */
async function sweeping(ages: readonly number[], committed: () => readonly number[]) {
  const clock = testClock()
  const values = await ValueStore.open(dir, [topic, 'attachments.policy-decision.v1'])
  const age = (of: string, n: number, days: number) => {
    const seconds = (clock.now() - days * dayMs) / 1000
    utimesSync(join(dir, of, hashOf(n)), seconds, seconds)
  }
  for (const [n, days] of ages.entries()) {
    await values.keep(topic, hashOf(n), words(n))
    age(topic, n, days)
  }
  const bus = { consumed: {} as Consumed, isFindable: true }
  let reads = () => undefined as unknown
  const swept = sweepValues({
    values,
    index: {
      find: ({ each }: LeafQuery) => {
        const isThere = committed().some((n) => each[0]?.[0] === `id ${hashOf(n)}`)
        return { leaves: isThere ? [{ at: 1, index: 1 }] : [] }
      },
    },
    lag: {
      get consumed() {
        return bus.consumed
      },
      onReading: (begins: () => (ends: Ends) => void) => {
        reads = () => begins()({ 'approvals.v1': [5] })
        return () => undefined
      },
    },
    findable: () => () => bus.isFindable,
    clock,
    logger: logger({ service: 'evidence', level: 'silent' }),
  })
  const pass = async (ms = 10_000) => {
    reads()
    clock.advance(ms)
    await vi.advanceTimersByTimeAsync(10_000)
    // A sweep under way ends before the next one on the same chain of promises.
    await vi.advanceTimersByTimeAsync(10_000)
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  const left = () => readdirSync(join(dir, topic)).map((name) => ages.findIndex((_, n) => hashOf(n) === name))
  return {
    values,
    bus,
    pass,
    left: () => left().sort(),
    age,
    [Symbol.asyncDispose]: () => swept[Symbol.asyncDispose](),
  }
}

it('deletes words that no event commits to once they are old and the log has read all, and no others (V17)', async () => {
  let committed: readonly number[] = []
  await using world = await sweeping([9, 9, 7, 9], () => committed)
  const { values, bus, pass, left, age } = world
  await values.erase(topic, hashOf(3), { erased_at: 'then', by: 'operator', reason: 'secret' })
  age(topic, 3, 9)
  await values.keep('attachments.policy-decision.v1', hashOf(0), words(0))
  age('attachments.policy-decision.v1', 0, 30)
  // The event that commits to these values may still be on the bus, or on its way into the index.
  await pass()
  expect(left()).toEqual([0, 1, 2, 3])
  committed = [1]
  Object.assign(bus, { consumed: { 'approvals.v1': [4] }, isFindable: false })
  await pass()
  expect(left()).toEqual([0, 1, 2, 3])
  bus.isFindable = true
  await pass()
  await expect.poll(left, { timeout: 60_000 }).toEqual([1, 2, 3])
  expect(await values.find(topic, hashOf(3))).toMatchObject({ state: 'erased' })
  expect(await values.find('attachments.policy-decision.v1', hashOf(0))).toMatchObject({ state: 'held' })
  // It sweeps again a day later.
  await pass()
  expect(left()).toEqual([1, 2, 3])
  await pass(2 * dayMs)
  await pass()
  await expect.poll(left, { timeout: 60_000 }).toEqual([1, 3])
})
