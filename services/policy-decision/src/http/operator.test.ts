import { Health, httpServer, logger, metrics } from '@bailiwick/host'
import { testClock } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import { operatorRoutes } from './operator.ts'

it('erases at the operator’s word, and where it is cut off says so at once, for another one to be asked (V17)', async () => {
  await using http = await httpServer({
    logger: logger({ service: 'test', level: 'silent' }),
    clock: testClock(),
    health: new Health(),
    metrics: metrics({ service: 'test', processMetrics: false }),
  })
  const erased: unknown[] = []
  let isFresh = true
  const pointsWithoutInstance = () => ['invoices-api']
  const erase = async (erasures: readonly object[]) => void erased.push(...erasures)
  operatorRoutes(http, { erase }, { isFresh: () => isFresh, pointsWithoutInstance })
  const points = await http.inject({ method: 'GET', url: '/operator/points' })
  expect(points.json()).toEqual({ without_instance: ['invoices-api'] })
  const value = { attachment_id: `att_${'A'.repeat(43)}`, about: 'dec_1' }
  const order = () =>
    http.inject({ method: 'POST', url: '/operator/calls/erase', payload: { reason: 'secret', values: [value] } })
  expect((await order()).json()).toEqual({ erased: [value.attachment_id] })
  expect(erased).toEqual([{ ...value, by: 'operator', reason: 'secret' }])
  isFresh = false
  const refused = await order()
  expect([refused.statusCode, refused.json().code]).toEqual([503, 'state_stale'])
  expect(erased).toHaveLength(1)
})
