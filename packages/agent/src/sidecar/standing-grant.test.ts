import { expect, it } from 'vitest'
import type { Agent } from '../agent.ts'
import { authority } from '../installation.fixture.ts'
import { isForEntry, standingGrant } from './standing-grant.ts'
import { Tasks } from './tasks.ts'

const agentWith = (details: Record<string, unknown>) =>
  ({
    credential: async () => ({ token: 't', expiresAt: 0, authorizationDetails: [details], grantExpiresAt: 9 }),
  }) as unknown as Agent
const permission = (id: string, more: object = {}) => ({
  ...{ actions: ['tools/call'], resource: { type: 'tool', id } },
  ...more,
})
const granted = (grantId: string, ...permissions: object[]) =>
  standingGrant(agentWith({ ...authority, permissions }), grantId)
const call = (id: string, properties: object = {}) => ({
  ...{ name: 'tools/call', properties: { ...properties }, resource: { type: 'tool', id } },
})

it('is read from its credential, and refused if it is not understood', async () => {
  const grant = await granted('grt_a', permission('erp/read'))
  expect(grant).toMatchObject({ grantId: 'grt_a', expiresAt: 9, authority: { budget: { calls: 20 } } })
  expect([
    isForEntry(grant, 'http', 'erp'),
    isForEntry(grant, 'http', 'er'),
    isForEntry(grant, 'models', 'erp'),
  ]).toEqual([...[true, false, false]])
  await expect(standingGrant(agentWith({ type: 'other' }), 'grt_a')).rejects.toMatchObject({ code: 'answer_malformed' })
})

it('is the one of several under which an action is done that it covers, as long as it lives', async () => {
  const small = await granted('grt_small', permission('erp/pay', { where: { '/amount': { max: '10' } } }))
  const large = await granted('grt_large', permission('erp/read'), permission('erp/pay'))
  const nothing = () => undefined
  const tasks = new Tasks(agentWith({}), { standing: [small, large], onChange: nothing, report: nothing })
  expect([...tasks.grants]).toEqual(['grt_small', 'grt_large'])
  expect(tasks.grantFor(call('erp/pay', { amount: 5 }))).toBe('grt_small')
  expect(tasks.grantFor(call('erp/pay', { amount: 50 }))).toBe('grt_large')
  expect(tasks.grantFor(call('erp/read'))).toBe('grt_large')
  // What none covers is denied under the first, or the one that is for the same tool.
  expect([tasks.grantFor(call('erp/drop')), tasks.grantFor(undefined)]).toEqual(['grt_small', 'grt_small'])
  tasks.lost('grt_small')
  expect([tasks.current?.grantId, tasks.grantFor(call('erp/pay', { amount: 5 }))]).toEqual(['grt_large', 'grt_large'])
  tasks.lost('grt_large')
  expect([tasks.current, tasks.grantFor(call('erp/read'))]).toEqual([undefined, undefined])
})
