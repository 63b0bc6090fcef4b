import type { DecodedEvent } from '@bailiwick/contracts'
import { Health, logger, metrics } from '@bailiwick/host'
import type { Participant } from '@bailiwick/instance'
import { testClock } from '@bailiwick/kit'
import type { Fact } from '@bailiwick/projection'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import type { Chain } from '../index/chain.ts'
import type { Consumed } from '../log/tree-head.ts'
import type { Ends } from './gaps.ts'
import { startWatch } from './watch.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

function aWatch(chain: Chain) {
  const clock = testClock()
  const health = new Health()
  const meter = metrics({ service: 'evidence', processMetrics: false })
  const told: string[] = []
  const log = Object.assign(new Set<string>(), { isBroken: false })
  const data: object[] = []
  const stopped: string[] = []
  const lag = {
    messages: 0 as number | undefined,
    check: (): string | undefined => lag.reason,
    reason: undefined as string | undefined,
    consumed: {} as Consumed,
    onReading: (begins: () => (ends: Ends) => void) => {
      reads = () => begins()({ 'grants.v1': [lag.messages ?? 0] })
      return () => void stopped.push('reading')
    },
  }
  let reads = () => undefined as unknown
  let listener: (fact: Fact) => void = () => undefined
  const participant = {
    projection: {
      onFact: (each: typeof listener) => {
        listener = each
        return () => void stopped.push('listening')
      },
    },
    producer: {
      publish: async (topic: string, drafts: readonly { type: string; subject: string; data: object }[]) => {
        if (log.isBroken) throw new Error('the bus is gone')
        for (const { type, subject, data: said } of drafts) {
          data.push(said)
          told.push(`${topic} ${type} ${subject}`)
          log.add(subject)
        }
        return []
      },
    },
  } as unknown as Pick<Participant, 'projection' | 'producer'>
  const watch = startWatch({
    participant,
    index: { chainOf: () => chain, isTold: (id) => log.has(id) },
    checkpoint: () => ({ size: 7, root: new Uint8Array(32), note: '' }),
    lag,
    clock,
    logger: logger({ service: 'evidence', level: 'silent' }),
    health,
    metrics: meter,
  })
  const head = (sequence: number) => {
    const data = { producer: '/issuer/a', service: 'issuer', sequence }
    const event = { time: '2026-11-24T12:00:00.000Z', data } as DecodedEvent<'heads.v1'>
    listener({ topic: 'heads.v1', event } as Fact)
  }
  const pass = async (seconds: number) => {
    for (let n = 0; n < seconds; n++) {
      if (lag.messages !== undefined) reads()
      clock.advance(1000)
      await vi.advanceTimersByTimeAsync(1000)
    }
  }
  return { watch, told, data, log, stopped, lag, health, meter, head, pass }
}

it('publishes a finding for a number that is missing a minute after the bus was read, once (V15)', async () => {
  const { watch, told, lag, head, pass } = aWatch({ whole: 2, ahead: [[4, 4]] })
  head(5)
  lag.messages = 3
  await pass(120)
  expect(told).toEqual([])
  lag.consumed = { 'grants.v1': { 0: 2 } }
  lag.messages = 0
  await pass(60)
  expect(told).toEqual([])
  await pass(3)
  expect(told).toEqual([
    'findings.v1 gap.detected /issuer/a#0000000000000003-0000000000000003',
    'findings.v1 gap.detected /issuer/a#0000000000000005-0000000000000005',
  ])
  await watch[Symbol.asyncDispose]()
})

it('publishes each missing number once, also while a producer goes on of which nothing arrives (V15)', async () => {
  const { watch, told, head, pass, meter } = aWatch({ whole: 2, ahead: [] })
  head(3)
  await pass(62)
  expect(told).toEqual(['findings.v1 gap.detected /issuer/a#0000000000000003-0000000000000003'])
  head(5)
  await pass(62)
  head(6)
  await pass(62)
  expect(told.slice(1)).toEqual([
    'findings.v1 gap.detected /issuer/a#0000000000000004-0000000000000005',
    'findings.v1 gap.detected /issuer/a#0000000000000006-0000000000000006',
  ])
  expect(await meter.text()).toContain('gaps_total{service="evidence"} 3')
  await watch[Symbol.asyncDispose]()
})

it('goes on after a finding that could not be published, and tells of it then (V15)', async () => {
  const { watch, told, log, head, pass } = aWatch({ whole: 2, ahead: [] })
  head(3)
  log.isBroken = true
  await pass(63)
  expect(told).toEqual([])
  log.isBroken = false
  await pass(1)
  expect(told).toEqual(['findings.v1 gap.detected /issuer/a#0000000000000003-0000000000000003'])
  await watch[Symbol.asyncDispose]()
})

it('says of a gap whose it is, and nothing of one that the log tells of already (V15)', async () => {
  const { watch, told, data, log, head, pass } = aWatch({ whole: 2, ahead: [] })
  head(3)
  await pass(62)
  const head_time = '2026-11-24T12:00:00.000Z'
  expect(data).toEqual([{ producer: '/issuer/a', service: 'issuer', from: 3, to: 3, head_time }])
  log.add('/issuer/a#0000000000000004-0000000000000005')
  head(5)
  await pass(62)
  expect(told).toHaveLength(1)
  await watch[Symbol.asyncDispose]()
})

it('looks, listens and is asked no more once it has ended', async () => {
  const { watch, told, stopped, head, pass } = aWatch({ whole: 2, ahead: [] })
  head(3)
  await watch[Symbol.asyncDispose]()
  expect(stopped.toSorted()).toEqual(['listening', 'reading'])
  await pass(63)
  expect(told).toEqual([])
})

it('measures itself, and is ready only while the log keeps up', async () => {
  const { watch, lag, health, meter, pass } = aWatch({ whole: 0, ahead: [] })
  expect(health.readiness()).toEqual({})
  lag.reason = 'the log is 20001 events behind'
  expect(health.readiness()).toEqual({ 'evidence-lag': lag.reason })
  lag.messages = 20_001
  watch.published(3)
  await pass(2)
  const text = await meter.text()
  for (const line of [
    'leaves_total{service="evidence"} 3',
    'log_size{service="evidence"} 7',
    'lag_events{service="evidence"} 20001',
  ])
    expect(text).toContain(`bailiwick_evidence_${line}`)
  expect(text).toMatch(/checkpoint_age_seconds\{service="evidence"\} [12]\n/)
  await watch[Symbol.asyncDispose]()
  expect(health.readiness()).toEqual({})
})
