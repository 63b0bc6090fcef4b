import { setTimeout as sleep } from 'node:timers/promises'
import { type ErrorCode, ServiceError } from '@bailiwick/errors'
import { expect, it } from 'vitest'
import type { Bus, Outgoing, Position } from './bus.ts'
import { publishUntilDurable } from './retrying.ts'

/** A bus whose publishes end as listed, then succeed. */
function busThatAnswers(...answers: (ErrorCode | 'never')[]) {
  const published: string[] = []
  const publish = async (topic: string, events: readonly Outgoing[]): Promise<Position[]> => {
    published.push(events.map(({ key, bytes }) => `${topic} ${key} ${Buffer.from(bytes)}`).join())
    const answer = answers.shift()
    if (answer === 'never') await new Promise(() => {})
    if (answer !== undefined && answer !== 'never') throw new ServiceError(answer)
    return events.map((_, offset) => ({ topic, partition: 0, offset }))
  }
  return { bus: { publish } as unknown as Bus, published }
}

const events = (): Outgoing[] => [{ key: 'k', bytes: Buffer.from('bytes') }]
const position = { topic: 'topic', partition: 0, offset: 0 }

it('repeats the same bytes, with growing pauses, until they are acknowledged', async () => {
  const { bus, published } = busThatAnswers(
    ...Array.from({ length: 9 }, () => 'outcome_unknown' as const),
    'queue_full',
  )
  const pauses: number[] = []
  const mine = events()
  const wait = async (ms: number) => {
    pauses.push(ms)
    mine[0]?.bytes.fill(0) // even for a caller that reuses its buffer too early, the repeat has the original bytes
  }
  expect(await publishUntilDurable(bus, 'topic', mine, { wait })).toEqual([position])
  expect(published).toEqual(Array.from({ length: 11 }, () => 'topic k bytes'))
  expect(pauses).toEqual([10, 20, 40, 80, 160, 320, 640, 1000, 1000, 1000])
})

it.each<[ErrorCode]>([['event_too_large'], ['event_malformed'], ['bus_unavailable']])(
  'throws %s on at once, since repeating cannot help',
  async (code) => {
    const { bus, published } = busThatAnswers(code)
    const wait = async () => {}
    await expect(publishUntilDurable(bus, 'topic', events(), { wait })).rejects.toMatchObject({ code })
    expect(published).toHaveLength(1)
  },
)

it.each<[ErrorCode | 'never', ErrorCode]>([
  ['queue_full', 'queue_full'],
  ['outcome_unknown', 'outcome_unknown'],
  ['never', 'outcome_unknown'],
])('gives up at the deadline when the bus answers %s, saying %s', async (answer, code) => {
  const { bus } = busThatAnswers(...Array.from({ length: 1000 }, () => answer))
  let left = 0
  const wait = async (ms: number, signal: AbortSignal) => {
    left += 1
    await sleep(ms, undefined, { signal }).catch(() => {})
    left -= 1
  }
  const publishing = publishUntilDurable(bus, 'topic', events(), { deadlineMs: 40, wait })
  await expect(publishing).rejects.toMatchObject({ code })
  await sleep(0)
  expect(left).toBe(0) // it leaves no timer behind
})

it('leaves no timer behind when it succeeds before its deadline', async () => {
  const { bus } = busThatAnswers('outcome_unknown')
  let left = 0
  const wait = async (ms: number, signal: AbortSignal) => {
    left += 1
    await sleep(ms, undefined, { signal }).catch(() => {})
    left -= 1
  }
  await publishUntilDurable(bus, 'topic', events(), { deadlineMs: 60_000, wait })
  await sleep(0)
  expect(left).toBe(0)
})
