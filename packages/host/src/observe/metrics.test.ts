import { expect, it } from 'vitest'
import { metrics } from './metrics.ts'

it('exposes what was counted, named and labelled', async () => {
  const meter = metrics({ service: 'issuer', processMetrics: false })
  meter.counter('minted_total', 'Credentials signed', ['mode']).inc({ mode: 'window' })
  meter.counter('minted_total', 'Credentials signed', ['mode']).inc({ mode: 'window' }, 2)
  meter.gauge('waiting', 'Calls that wait').set(4)
  meter.histogram('mint_seconds', 'Time to a credential', [], [0.1, 1]).observe(0.2)
  const text = await meter.text()
  expect(meter.contentType).toMatch(/^text\/plain; version=0\.0\.4/)
  expect(text).toContain('bailiwick_minted_total{mode="window",service="issuer"} 3')
  expect(text).toContain('bailiwick_waiting{service="issuer"} 4')
  expect(text).toContain('bailiwick_mint_seconds_bucket{le="1",service="issuer"} 1')
  expect(text).toContain('bailiwick_mint_seconds_bucket{le="0.1",service="issuer"} 0')
})

it('keeps two services of one process apart', async () => {
  const [a, b] = [metrics({ service: 'a', processMetrics: false }), metrics({ service: 'b', processMetrics: false })]
  a.counter('x_total', 'x').inc()
  b.counter('x_total', 'x')
  expect(await a.text()).toContain('bailiwick_x_total{service="a"} 1')
  expect(await b.text()).toContain('bailiwick_x_total{service="b"} 0')
})

it('measures the process unless told not to', async () => {
  expect(await metrics({ service: 'a' }).text()).toContain('process_cpu_seconds_total{service="a"}')
  expect(await metrics({ service: 'a', processMetrics: false }).text()).not.toContain('process_cpu')
})
