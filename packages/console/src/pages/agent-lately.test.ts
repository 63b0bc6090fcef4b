import { expect, it } from 'vitest'
import type { Activity, Grant } from '../types.ts'
import { answersTo, plus, spentBy } from './agent-lately.ts'

const agent = 'spiffe://a/agent'

it('counts the answers to this agent alone', () => {
  const agents = [
    { agent, allowed: [1, 0, 2], denied: [0, 4, 0] },
    { agent: `${agent}-2`, allowed: [7], denied: [7] },
    { agent: null, allowed: [7], denied: [7] },
  ]
  expect(answersTo(agent, { from: '', hours: 3, agents } satisfies Activity)).toEqual({ allowed: 3, denied: 4 })
})

it('adds up what the agent’s own grants took, exactly, of those that are surely all known', () => {
  const now = Date.parse('2026-11-30T12:00:00.000Z')
  const grant = (id: string, hoursAgo: number, cost: Record<string, string>) =>
    ({
      from: { id },
      created_at: new Date(now - hoursAgo * 3_600_000).toISOString(),
      taken: { cost },
    }) as unknown as Grant
  const grants = [
    grant(agent, 1, { EUR: '0.10' }),
    grant(agent, 8.9, { EUR: '0.2', CHF: '5' }),
    grant(agent, 9.1, { EUR: '100' }),
    grant(`${agent}-2`, 1, { EUR: '100' }),
  ]
  expect([...spentBy(agent, grants, now)]).toEqual([
    ['EUR', '0.30'],
    ['CHF', '5'],
  ])
})

it.each([
  ['0', '0', '0'],
  ['999999999999999999999.999999', '0.000001', '1000000000000000000000.000000'],
  ['1.5', '2', '3.5'],
])('%s and %s are %s', (a, b, sum) => {
  expect(plus(a, b)).toBe(sum)
})
