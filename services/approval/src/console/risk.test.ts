import type { RegistryState } from '@bailiwick/projection'
import { expect, it } from 'vitest'
import type { AccessAsk, RegistryAsk } from '../requests.ts'
import { riskOf } from './risk.ts'

const cost = { amount: '/amount', currency: '/currency' }
const decoy = { ...cost, amount: '/decoy' }
const erp = { tools: { pay: { labels: ['writes'], cost }, ping: { labels: ['writes'] } } }
const registry = { get: (_: string, id: string) => (id === 'erp' ? erp : undefined) } as never as RegistryState
const said = (ask: object) => riskOf(registry, ask as never).reasons.map(({ text }) => text)

it('warns where an agent takes its cost from an argument that the registry does not declare (V3)', () => {
  const asked = (id: string, named?: object) => {
    const permission = { actions: ['tools/call'], resource: { type: 'tool', id }, ...(named ? { cost: named } : {}) }
    const authority = { type: 'bailiwick_task', task: 't', permissions: [permission], budget: { calls: 1 } }
    return said({ kind: 'access', authority, not_before: '', not_after: '' } satisfies Partial<
      Record<keyof AccessAsk, unknown>
    >)
  }
  const reason = 'Takes its cost from an argument that the registry does not declare'
  for (const ask of [asked('erp/pay', decoy), asked('erp/ping', cost), asked('other/pay', cost)])
    expect(ask).toContain(reason)
  for (const ask of [asked('erp/pay', cost), asked('erp/pay')]) expect(ask).not.toContain(reason)
})

it('says where a change moves what a tool costs (V3)', () => {
  const changed = (id: string, tools?: object) =>
    said({
      kind: 'registry',
      entities: [{ type: 'tool-server', id, ...(tools ? { value: { tools } } : {}) }],
    } satisfies Partial<Record<keyof RegistryAsk, unknown>>)
  const reason = 'Says anew what a tool costs'
  const { pay, ping } = erp.tools
  for (const ask of [
    changed('erp', { pay: { ...pay, cost: decoy }, ping }),
    changed('erp', { pay, ping: { ...ping, cost } }),
    changed('erp', { pay, ping, more: { labels: [], cost } }),
  ])
    expect(ask).toContain(reason)
  // Without a cost, every call counts as above every amount.
  for (const ask of [
    changed('erp', erp.tools),
    changed('erp', { pay: ping, ping }),
    changed('erp'),
    changed('new', erp.tools),
  ])
    expect(ask).not.toContain(reason)
})
