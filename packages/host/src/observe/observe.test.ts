import type { Bus } from '@bailiwick/bus'
import { ServiceError } from '@bailiwick/errors'
import { expect, it } from 'vitest'
import { Health } from './health.ts'
import { metrics as makeMetrics } from './metrics.ts'
import { observedBus } from './observe-bus.ts'
import { observeHealth } from './observe-health.ts'

const newMetrics = () => makeMetrics({ service: 'test', processMetrics: false })

/** The samples of one metric, without its name. */
async function samples(metrics: ReturnType<typeof newMetrics>, name: string): Promise<string[]> {
  const lines = (await metrics.text()).split('\n')
  return lines.flatMap((line) =>
    line.startsWith(`bailiwick_${name}{`) ? [line.slice(`bailiwick_${name}`.length)] : [],
  )
}

it('counts how publishes end, passes on what they gave, and times those that are durable', async () => {
  const metrics = newMetrics()
  const ends: (string | undefined)[] = [undefined, 'queue_full', 'outcome_unknown']
  const bus = {
    publish: async () => {
      const code = ends.shift()
      if (code !== undefined) throw new ServiceError(code as 'queue_full')
      return [{ topic: 'heads.v1', partition: 0, offset: 7 }]
    },
  } as unknown as Bus
  let now = 0
  const observed = observedBus(bus, metrics, () => {
    now += 250
    return now
  })
  expect(await observed.publish('heads.v1', [])).toEqual([{ topic: 'heads.v1', partition: 0, offset: 7 }])
  await expect(observed.publish('heads.v1', [])).rejects.toMatchObject({ code: 'queue_full' })
  await expect(observed.publish('heads.v1', [])).rejects.toMatchObject({ code: 'outcome_unknown' })
  expect(await samples(metrics, 'bus_publishes_total')).toEqual(
    ['refused', 'unknown', 'durable'].map((result) => `{topic="heads.v1",result="${result}",service="test"} 1`),
  )
  expect(await samples(metrics, 'bus_publish_seconds_sum')).toEqual(['{service="test",topic="heads.v1"} 0.25'])
})

it('shows the checks that fail now, and no others', async () => {
  const metrics = newMetrics()
  const health = new Health()
  let reason: string | undefined = 'it is away'
  health.check('bus', () => reason)
  health.check('well', () => undefined)
  observeHealth(health, metrics)
  expect(await samples(metrics, 'check_failing')).toEqual(['{check="bus",service="test"} 1'])
  expect(await samples(metrics, 'ready')).toEqual(['{service="test"} 0'])
  reason = undefined
  expect(await samples(metrics, 'check_failing')).toEqual([])
  expect(await samples(metrics, 'ready')).toEqual(['{service="test"} 1'])
})
