import type { Bus } from '@bailiwick/bus'
import type { DecodedEvent } from '@bailiwick/contracts'
import { exampleEvent } from '@bailiwick/contracts/examples'
import { expect, it } from 'vitest'
import { aMessage, having } from './messages.fixture.ts'
import { assertNoneSkipped, type SkippedOptions } from './skipped.ts'

const textOf = (bytes: Uint8Array) => Buffer.from(bytes).toString()

/** A log that has consumed the partition up to offset 2, and has each message with the text `leaf`. */
const aLog: Omit<SkippedOptions, 'bus'> = {
  sequencer: { consumed: { 'decisions.v1': { 0: 2 } }, has: (bytes) => textOf(bytes) === 'leaf' },
  judge: async ({ bytes }) =>
    textOf(bytes) === 'junk'
      ? { kind: 'unreadable', code: 'json_malformed' }
      : { kind: 'leaf', event: exampleEvent('decisions.v1', 'denials.summarised') as DecodedEvent },
}
const next = { topic: 'decisions.v1', partition: 0, offset: 5 }

it.each([
  ['all before it are leaves', ['leaf', 'leaf'], undefined],
  ['one before it was parked', ['leaf', 'junk'], undefined],
  ['one before it is no leaf, and was to be', ['event', 'leaf'], 'lacks decisions.v1/0/3'],
  ['several before it are no leaves', ['event', 'event'], 'lacks decisions.v1/0/3'],
  ['the last before it is no leaf', ['leaf', 'event'], 'lacks decisions.v1/0/4'],
  ['all between are gone from the bus', [], undefined],
])('takes what the bus delivers first where %s, and nothing else (V2)', async (_, between, lacking) => {
  const messages = [
    aMessage(2, 'event'),
    ...between.map((text, n) => aMessage(3 + n, text)),
    aMessage(4, 'event', { partition: 1 }),
    aMessage(5, 'event'),
  ]
  const asserted = assertNoneSkipped({ ...aLog, bus: having(messages) }, next)
  if (lacking === undefined) await asserted
  else
    await expect(asserted).rejects.toMatchObject({
      code: 'log_inconsistent',
      message: expect.stringContaining(lacking),
    })
})

it.each([
  ['a partition that it has not had', { 'decisions.v1': { 1: 9 } }],
  ['a topic that it has not had', {}],
])('reads %s from its first message (V2)', async (_, consumed) => {
  const log = { ...aLog, sequencer: { ...aLog.sequencer, consumed } }
  await expect(assertNoneSkipped({ ...log, bus: having([aMessage(0, 'event')]) }, next)).rejects.toMatchObject({
    message: expect.stringContaining('lacks decisions.v1/0/0'),
  })
})

it('reads nothing again where the bus goes on right behind the log', async () => {
  const bus: Pick<Bus, 'follow'> = { follow: () => expect.fail('it reads') }
  for (const offset of [2, 3]) await assertNoneSkipped({ ...aLog, bus }, { ...next, offset })
})

it('reads only the topic of the message, from its start, and stops reading it', async () => {
  const seen: unknown[] = []
  const bus: Pick<Bus, 'follow'> = {
    follow: async (topics, since, handler) => {
      seen.push(topics, since)
      const follower = await having([aMessage(3, 'leaf')]).follow(topics, since, handler)
      return { ...follower, [Symbol.asyncDispose]: async () => void seen.push('stopped') }
    },
  }
  await assertNoneSkipped({ ...aLog, bus }, next)
  expect(seen).toEqual([['decisions.v1'], 'start', 'stopped'])
})

it('rejects where the bus cannot be read', async () => {
  const bus: Pick<Bus, 'follow'> = {
    follow: async () => ({
      caughtUp: new Promise<never>(() => undefined),
      failed: Promise.reject(new Error('the bus is gone')),
      [Symbol.asyncDispose]: async () => undefined,
    }),
  }
  await expect(assertNoneSkipped({ ...aLog, bus }, next)).rejects.toThrow('the bus is gone')
})
