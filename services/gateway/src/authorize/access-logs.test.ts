import { metrics } from '@bailiwick/host'
import { systemRandom } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import { AccessLogs } from './access-logs.ts'

const open = (more: { mostWaiting?: number; mostOfAgent?: number } = {}) =>
  new AccessLogs({ random: systemRandom, metrics: metrics({ service: 'test', processMetrics: false }), ...more })
const logged = { status: 200, bytes: 5 }
const long = 600_000

it('reports what the log says, once, to the proxy that asked, and refuses every other entry', async () => {
  using logs = open()
  const expected = logs.expect('erp', 'a', long)
  const { mark = '', outcome } = expected ?? {}
  expect(logs.take('crm', mark, logged)).toBe('foreign')
  expect(logs.take('erp', `${mark}x`, logged)).toBe('unknown')
  expect(logs.take('erp', mark, logged)).toBe('reported')
  expect(logs.take('erp', mark, { status: 500, bytes: 1 })).toBe('repeated')
  expect(await outcome).toEqual({ status: 'succeeded', http_status: 200, egress_bytes: 5 })
})

it.each<[number | undefined, object]>([
  [399, { status: 'succeeded', http_status: 399 }],
  [400, { status: 'failed', http_status: 400 }],
  [599, { status: 'failed', http_status: 599 }],
  [600, { status: 'unknown' }],
  [99, { status: 'unknown' }],
  [undefined, { status: 'unknown' }],
])('a status of %s is an outcome', async (status, outcome) => {
  using logs = open()
  const expected = logs.expect('erp', 'a', long)
  logs.take('erp', expected?.mark ?? '', { status, bytes: undefined })
  expect(await expected?.outcome).toEqual(outcome)
})

it('reports that nothing was observed if the log does not come in time, and refuses it later', async () => {
  using logs = open()
  const expected = logs.expect('erp', 'a', 1)
  expect(await expected?.outcome).toEqual({ status: 'not_observed' })
  expect(logs.take('erp', expected?.mark ?? '', logged)).toBe('late')
})

it('waits for a bounded number of requests, and remembers as many', async () => {
  using logs = open({ mostWaiting: 2 })
  const [first, second, third] = [
    logs.expect('erp', 'a', long),
    logs.expect('erp', 'a', long),
    logs.expect('erp', 'a', long),
  ]
  expect(third).toBeUndefined()
  for (const each of [first, second]) logs.take('erp', each?.mark ?? '', logged)
  const fourth = logs.expect('erp', 'a', long)
  expect(logs.take('erp', first?.mark ?? '', logged)).toBe('repeated')
  logs.take('erp', fourth?.mark ?? '', logged)
  expect(logs.take('erp', first?.mark ?? '', logged)).toBe('unknown')
})

it('waits for a bounded number of requests of one agent, and for all others as before (V18)', async () => {
  using logs = open({ mostWaiting: 5, mostOfAgent: 2 })
  const [first, , third] = [logs.expect('erp', 'a', long), logs.expect('crm', 'a', long), logs.expect('erp', 'a', long)]
  expect(third).toBeUndefined()
  expect(logs.expect('erp', 'b', long)).toBeDefined()
  logs.take('erp', first?.mark ?? '', logged)
  expect(logs.expect('erp', 'a', long)).toBeDefined()
  expect(logs.expect('erp', 'a', long)).toBeUndefined()
})

it('reports that nothing was observed of the requests that wait when the gateway stops', async () => {
  const logs = open()
  const expected = logs.expect('erp', 'a', long)
  logs[Symbol.dispose]()
  expect(logs.expect('erp', 'a', long)).toBeUndefined()
  expect(await expected?.outcome).toEqual({ status: 'not_observed' })
})
