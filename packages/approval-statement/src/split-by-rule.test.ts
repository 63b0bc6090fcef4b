import { type Authority, narrows, parseAuthority } from '@bailiwick/authority'
import type { Rule, ToolServer } from '@bailiwick/contracts'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { matchRule } from './match-rule.ts'
import { agent, aRule, byId } from './samples.test-data.ts'
import { splitByRule, staysWithin } from './split-by-rule.ts'

const instance = `${agent.id}/one`
const cost = { amount: '/amount', currency: '/currency' }
const permission = (id: string, over: object = {}) => ({
  actions: ['tools/call'],
  resource: { type: 'tool', id },
  ...over,
})
const server: ToolServer = {
  id: 'erp',
  url: 'https://erp.example/mcp',
  manifest: `${'m'.repeat(42)}A`,
  tools: { read: { labels: [] }, drop: { labels: ['destructive'] }, pay: { labels: [], cost } },
}
const rule = (id: string, order: number, match: Rule['match']) => aRule({ id, order, match })
const viewOf = (...rules: Rule[]) => ({ rules: byId(...rules), agents: byId(agent), toolServers: byId(server) })
const strict = rule('strict', 1, { labels: ['destructive'] })
const dear = rule('dear', 2, { resources: [{ type: 'tool', id: 'erp/pay' }], cost_above: { EUR: '100' } })
const rest = rule('rest', 9, {})
const all = viewOf(strict, dear, rest)

function asked(budget: object, ...permissions: object[]): Authority {
  const parsed = parseAuthority({ type: 'bailiwick_task', task: 't', permissions, budget })
  if (!parsed.ok) throw new Error(parsed.detail)
  return parsed.authority
}

function split(authority: Authority, view = all) {
  const parts = splitByRule(view, { agent: instance, authority })
  if (!parts.ok) return parts.detail
  return parts.items.map(({ rule: { id }, authority: { permissions, budget } }) => ({
    rule: id,
    tools: permissions.map(({ resource }) => resource.id),
    budget,
  }))
}

it('leaves whole what one rule holds for', () => {
  const authority = asked({ calls: 1 }, permission('erp/read'), permission('erp/else'))
  expect(splitByRule(all, { agent: instance, authority })).toEqual({ ok: true, items: [{ authority, rule: rest }] })
})

it('gives each rule its part, and the budget to only one of them (V3)', () => {
  const authority = asked(
    { calls: 10, cost: { EUR: '500' } },
    permission('erp/read'),
    permission('erp/drop'),
    permission('erp/pay', { cost }),
    permission('erp/else'),
  )
  expect(split(authority)).toEqual([
    { rule: 'rest', tools: ['erp/read', 'erp/else'], budget: { calls: 4, cost: {} } },
    { rule: 'strict', tools: ['erp/drop'], budget: { calls: 3, cost: {} } },
    { rule: 'dear', tools: ['erp/pay'], budget: { calls: 3, cost: { EUR: '500' } } },
  ])
})

it('looks again at a part whose share is small enough for another rule', () => {
  const authority = asked({ cost: { EUR: '150' } }, permission('erp/drop', { cost }), permission('erp/pay', { cost }))
  expect(split(authority)).toEqual([
    { rule: 'strict', tools: ['erp/drop'], budget: { cost: { EUR: '75' } } },
    { rule: 'rest', tools: ['erp/pay'], budget: { cost: { EUR: '75' } } },
  ])
})

it('refuses what cannot be taken apart', () => {
  const below = { actions: ['tools/call'], resource: { type: 'api', id_prefix: 'https://erp.example/' } }
  const prod = rule('prod', 1, { resources: [{ type: 'api', id_prefix: 'https://erp.example/prod/' }] })
  const partly = 'rule prod holds for a part of what is asked only'
  expect(split(asked({}, permission('erp/read'), below), viewOf(prod, rest))).toBe(partly)
  expect(split(asked({}, permission('erp/read'), permission('erp/drop')), viewOf(strict))).toBe(
    'no rule holds for what is asked',
  )
  expect(split(asked({ calls: 1 }, permission('erp/read'), permission('erp/drop')))).toBe(
    'it has fewer calls than the parts that rules split it into',
  )
})

it('keeps the law for any rules and any ask: one rule a part, every permission once, all parts within the ask (V3)', () => {
  const tools = ['erp/read', 'erp/drop', 'erp/pay', 'erp/else']
  const matches = fc.record(
    {
      labels: fc.subarray(['destructive', 'unlabelled']),
      resources: fc.subarray(tools).map((ids) => ids.map((id) => ({ type: 'tool', id }))),
      cost_above: fc.constantFrom<Record<string, string>>({ EUR: '2' }, { EUR: '5', USD: '1' }),
      actions: fc.subarray(['tools/call', 'tools/list'], { minLength: 1 }),
    },
    { requiredKeys: [] },
  )
  const rules = fc
    .array(matches, { maxLength: 4 })
    .map((list) => [...list.map((match, n) => rule(`r${n}`, n, match as Rule['match'])), rest])
  const asks = fc
    .record({
      permissions: fc.array(
        fc
          .record({
            id: fc.constantFrom(...tools),
            priced: fc.boolean(),
            uses: fc.option(fc.integer({ min: 1, max: 3 })),
          })
          .map(({ id, priced, uses }) =>
            permission(id, { ...(priced ? { cost } : {}), ...(uses === null ? {} : { max_uses: uses }) }),
          ),
        { minLength: 1, maxLength: 6 },
      ),
      calls: fc.option(fc.integer({ min: 0, max: 20 })),
      EUR: fc.constantFrom('0', '1', '4.000001', '9.99'),
    })
    .map(({ permissions, calls, EUR }) =>
      asked({ ...(calls === null ? {} : { calls }), cost: { EUR } }, ...permissions),
    )
  fc.assert(
    fc.property(rules, asks, (some, authority) => {
      const view = viewOf(...some)
      const parts = splitByRule(view, { agent: instance, authority })
      if (!parts.ok) return
      const [first, ...others] = parts.items.map((item) => item.authority)
      if (first === undefined) throw new Error('no part')
      expect(staysWithin([first, ...others], authority)).toBe(true)
      const key = (of: readonly object[]) => of.map((each) => JSON.stringify(each)).sort()
      expect(key(parts.items.flatMap((item) => item.authority.permissions))).toEqual(key(authority.permissions))
      for (const item of parts.items) {
        expect(matchRule(view, { agent: instance, authority: item.authority })).toEqual({ ok: true, rule: item.rule })
        expect(narrows(item.authority, authority)).toEqual({ narrower: true })
      }
    }),
    { numRuns: 1000 },
  )
})

it('does not take parts that have the same budget for parts of it (V3)', () => {
  const authority = asked({ calls: 10 }, permission('erp/read'), permission('erp/drop'))
  const part = (n: number, calls: number) => ({
    ...authority,
    permissions: authority.permissions.slice(n, n + 1),
    budget: { calls },
  })
  expect(staysWithin([part(0, 10)], authority)).toBe(true)
  expect(staysWithin([part(0, 6), part(1, 4)], authority)).toBe(true)
  expect(staysWithin([part(0, 10), part(1, 10)], authority)).toBe(false)
  expect(staysWithin([part(0, 5), part(1, 6)], authority)).toBe(false)
})
