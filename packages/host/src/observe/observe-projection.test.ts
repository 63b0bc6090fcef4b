import { expect, it } from 'vitest'
import { metrics as makeMetrics } from './metrics.ts'
import { type ObservedProjection, observeProjection } from './observe-projection.ts'

/** The samples of one metric, without its name. */
async function samples(metrics: ReturnType<typeof makeMetrics>, name: string): Promise<string[]> {
  const lines = (await metrics.text()).split('\n')
  return lines.flatMap((line) =>
    line.startsWith(`bailiwick_${name}{`) ? [line.slice(`bailiwick_${name}`.length)] : [],
  )
}

it('shows of two services in one process what each knows, and how old that is, at the time of asking', async () => {
  const metrics = makeMetrics({ service: 'test', processMetrics: false })
  let monotonic = 1000
  const listeners: Parameters<ObservedProjection['onFact']>[0][] = []
  const projection = (fresh: boolean, receivedAt?: number): ObservedProjection => ({
    fresh: () => fresh,
    heads: { active: () => (receivedAt === undefined ? undefined : { receivedAt }) },
    positions: () => ({ 'grants.v1': { '0': 4, '1': -1, '2': 0 } }),
    onFact: (listener) => {
      listeners.push(listener)
      return () => undefined
    },
  })
  const clock = { monotonic: () => monotonic }
  observeProjection('issuer', projection(true, 900), { metrics, clock, watchedTypes: ['outcome.missing'] })
  observeProjection('approval', projection(false), { metrics, clock })
  expect(await samples(metrics, 'projection_fresh')).toEqual([
    '{role="issuer",service="test"} 1',
    '{role="approval",service="test"} 0',
  ])
  expect(await samples(metrics, 'projection_head_age_seconds')).toEqual(['{role="issuer",service="test"} 0.1'])
  monotonic = 3900
  expect(await samples(metrics, 'projection_head_age_seconds')).toEqual(['{role="issuer",service="test"} 3'])
  expect(await samples(metrics, 'projection_folded_messages')).toContain(
    '{role="issuer",topic="grants.v1",service="test"} 6',
  )
  const missing = '{role="issuer",type="outcome.missing",verdict="counts",service="test"}'
  expect(await samples(metrics, 'events_total')).toEqual([`${missing} 0`])
  listeners[0]?.({ topic: 'decisions.v1', event: { type: 'outcome.missing' }, verdict: 'counts' })
  listeners[0]?.({ topic: 'heads.v1', event: { type: 'head.published' }, verdict: 'counts' })
  expect(await samples(metrics, 'events_total')).toEqual([`${missing} 1`])
})
