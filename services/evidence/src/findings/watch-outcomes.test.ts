import { ServiceError } from '@bailiwick/errors'
import { logger, metrics } from '@bailiwick/host'
import { testClock } from '@bailiwick/kit'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import type { Chain } from '../index/chain.ts'
import type { DoubledOutcome, OutcomeChain } from '../index/outcome-links.ts'
import type { Consumed } from '../log/tree-head.ts'
import type { Ends } from './gaps.ts'
import { watchOutcomes } from './watch-outcomes.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const instance = `${'I'.repeat(21)}A`

function aWatch(chain: Chain, doubled: DoubledOutcome[] = [], last: OutcomeChain['last'] = [5, 'e']) {
  const clock = testClock()
  const told: { type: string; data: object }[] = []
  const names = new Set<string>()
  const stopped: string[] = []
  const bus = { chain, end: 1, refusals: 0, consumed: { 'decisions.v1': { 0: 0 } } as Consumed }
  let reads = () => undefined as unknown
  const watch = watchOutcomes({
    participant: {
      producer: {
        publish: async (_: string, drafts: readonly { type: string; subject: string; data: object }[]) => {
          if (bus.refusals-- > 0) throw new ServiceError('bus_unavailable')
          for (const { type, subject, data } of drafts) {
            told.push({ type, data })
            names.add(subject)
          }
          return []
        },
      } as never,
    },
    index: {
      outcomeChainOf: () => bus.chain,
      get unwholeOutcomes(): OutcomeChain[] {
        return bus.chain.ahead.length === 0 ? [] : [{ ...bus.chain, point: 'point', instance, last }]
      },
      doubledOutcomes: doubled,
      isTold: (name) => names.has(name),
    },
    lag: {
      get consumed() {
        return bus.consumed
      },
      onReading: (begins: () => (ends: Ends) => void) => {
        reads = () => begins()({ 'decisions.v1': [bus.end] })
        return () => void stopped.push('reading')
      },
    },
    clock,
    logger: logger({ service: 'evidence', level: 'silent' }),
    metrics: metrics({ service: 'evidence', processMetrics: false }),
  })
  const pass = async (seconds: number) => {
    for (let n = 0; n < seconds; n++) {
      reads()
      clock.advance(1000)
      await vi.advanceTimersByTimeAsync(1000)
    }
  }
  return { watch, told, names, bus, pass, stopped }
}

it('tells of outcomes that an instance skipped, a minute after the bus was read, once (V15)', async () => {
  const { watch, told, bus, pass } = aWatch({ whole: 2, ahead: [[5, 5]] })
  bus.end = 3
  await pass(120)
  expect(told).toEqual([])
  bus.consumed = { 'decisions.v1': { 0: 2 } }
  await pass(59)
  expect(told).toEqual([])
  await pass(60)
  const data = { enforcement_point: 'point', instance, from: 3, to: 4 }
  expect(told).toEqual([{ type: 'outcome.skipped', data }])
  await watch[Symbol.asyncDispose]()
})

it('names a gap by its instance and numbers, and tells of none that the log tells of already (V15)', async () => {
  const first = aWatch({ whole: 2, ahead: [[5, 5]] })
  await first.pass(130)
  const subject = `outcomes of point ${instance}#3-4`
  expect([...first.names]).toEqual([subject])
  await first.watch[Symbol.asyncDispose]()
  const next = aWatch({ whole: 2, ahead: [[5, 5]] })
  next.names.add(subject)
  await next.pass(130)
  expect(next.told).toEqual([])
  await next.watch[Symbol.asyncDispose]()
})

it('looks and is asked no more once it has ended', async () => {
  const { watch, told, pass, stopped } = aWatch({ whole: 2, ahead: [[5, 5]] })
  await watch[Symbol.asyncDispose]()
  expect(stopped).toEqual(['reading'])
  await pass(130)
  expect(told).toEqual([])
})

it('tells of nothing that is merely late: what comes within the minute is no gap', async () => {
  const { watch, told, bus, pass } = aWatch({ whole: 2, ahead: [[5, 5]] })
  await pass(50)
  bus.chain = { whole: 5, ahead: [] }
  await pass(60)
  expect(told).toEqual([])
  await watch[Symbol.asyncDispose]()
})

it('tells of a number that two decision points took for two outcomes, once, however long the bus is away (V10)', async () => {
  const doubled = { point: 'point', instance, decisionId: 'dec_1', sequence: 2, hash: `${'H'.repeat(42)}A` }
  const { watch, told, bus, pass } = aWatch({ whole: 2, ahead: [] }, [doubled])
  bus.refusals = 2
  await pass(2)
  expect(told).toEqual([])
  await pass(5)
  const data = { decision_id: 'dec_1', enforcement_point: 'point', instance, sequence: 2, of: 'sequence' }
  expect(told).toEqual([{ type: 'outcome.contradicted', data: { ...data, signed_sha256: doubled.hash } }])
  await watch[Symbol.asyncDispose]()
})

it('tells of no number above the last that its instance says was answered: it may still wait (V15)', async () => {
  const { watch, told, pass } = aWatch(
    {
      whole: 2,
      ahead: [
        [4, 4],
        [7, 9],
      ],
    },
    [],
    [5, undefined],
  )
  await pass(130)
  const gap = (from: number, to: number) => ({ enforcement_point: 'point', instance, from, to })
  expect(told.map(({ data }) => data)).toEqual([gap(3, 3), gap(5, 5)])
  await watch[Symbol.asyncDispose]()
})
