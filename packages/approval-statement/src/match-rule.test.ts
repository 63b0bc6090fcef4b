import { type Authority, parseAuthority } from '@bailiwick/authority'
import type { Agent, Rule, ToolServer } from '@bailiwick/contracts'
import { describe, expect, it } from 'vitest'
import { matchRule } from './match-rule.ts'
import { agent, aRule, byId } from './samples.test-data.ts'

const instance = `${agent.id}/one`
const read = { actions: ['tools/call'], resource: { type: 'tool', id: 'invoices.read' } }
const pay = { actions: ['tools/call'], resource: { type: 'tool', id: 'payments.post' } }
const api = (id_prefix: string, ...actions: string[]) => ({ actions, resource: { type: 'api', id_prefix } })

const erp: ToolServer = {
  id: 'erp',
  url: 'https://erp.example/mcp',
  manifest: `${'m'.repeat(42)}A`,
  tools: {
    read: { labels: ['reads_private'] },
    drop: { labels: ['destructive', 'reads_private'] },
    ping: { labels: [] },
    pay: { labels: [], cost: { amount: '/amount', currency: '/currency' } },
  },
}
const tool = (id: string) => ({ actions: ['tools/call'], resource: { type: 'tool', id } })

function authorityOf(...permissions: object[]): Authority {
  return authorityWithin({}, ...permissions)
}

function authorityWithin(budget: object, ...permissions: object[]): Authority {
  const parsed = parseAuthority({ type: 'bailiwick_task', task: 't', permissions, budget })
  if (!parsed.ok) throw new Error(parsed.detail)
  return parsed.authority
}

function ruleFor(rules: Rule[], ...permissions: object[]): string {
  return ruleOf(rules, authorityOf(...permissions))
}

function ruleOf(rules: Rule[], authority: Authority, labels: string[] = []): string {
  const agents = byId({ ...agent, labels })
  const matched = matchRule({ rules: byId(...rules), agents, toolServers: byId(erp) }, { agent: instance, authority })
  return matched.ok ? matched.rule.id : matched.detail
}

const none = 'no rule holds for what is asked'
const rule = (id: string, order: number, match: Rule['match']) => aRule({ id, order, match })
const partly = (id: string) => `rule ${id} holds for a part of what is asked only`

it('takes the first rule that holds, by order, then by id', () => {
  const rules = [rule('c', 2, {}), rule('b', 1, {}), rule('a', 2, {})]
  expect(ruleFor(rules, read)).toBe('b')
  expect(ruleFor(rules.slice(0, 1).concat(rules.slice(2)), read)).toBe('a')
  expect(ruleFor([], read)).toBe(none)
})

it.each<[string, Rule['match'], string]>([
  ['any agent, when the rule names no agents', {}, 'r'],
  ['any agent, by *', { agents: ['*'] }, 'r'],
  ["an agent's instance, by the agent", { agents: [agent.id] }, 'r'],
  ['one instance', { agents: [instance] }, 'r'],
  ['no agent whose name only begins alike', { agents: ['spiffe://acme.example/agent/led'] }, none],
  ['no other agent', { agents: ['spiffe://acme.example/agent/other'] }, none],
  ['no agent, when the list is empty', { agents: [] }, none],
])('holds for %s', (_, match, expected) => {
  expect(ruleFor([rule('r', 1, match)], read)).toBe(expected)
})

it('wants closed permissions and listed delegates where the rule does, and asks no other rule then (V3)', () => {
  const closed = { ...read, arguments: 'closed' }
  const strict = { ...rule('strict', 1, {}), closed_permissions: true, listed_delegates: true }
  const rules = [strict, rule('lax', 2, {})]
  const matched = (...permissions: object[]) =>
    matchRule(
      { rules: byId(...rules), agents: byId(agent), toolServers: byId(erp) },
      { agent: instance, authority: authorityOf(...permissions) },
    )
  expect(matched(closed)).toMatchObject({ ok: true, rule: { id: 'strict' } })
  expect(matched(read)).toMatchObject({ ok: false, code: 'approval_rule_mismatch' })
  expect(ruleFor(rules, closed, pay)).toMatch(/^rule strict wants closed permissions: add "arguments": "closed"/)
  const delegable = { ...authorityOf(closed), max_depth: 1, max_children: 1 }
  expect(ruleOf(rules, delegable)).toMatch(/^rule strict wants delegates to be listed: add "delegates"/)
  expect(ruleOf(rules, { ...delegable, delegates: [] })).toBe('strict')
  expect(ruleOf(rules, { ...delegable, max_children: 0 })).toBe('strict')
  for (const lax of [{}, { closed_permissions: false, listed_delegates: false }])
    expect(ruleOf([{ ...rule('r', 1, {}), ...lax }], { ...delegable, permissions: [read] })).toBe('r')
})

it('holds only when every action and every resource is within its own', () => {
  const tools = rule('tools', 1, { actions: ['tools/call'], resources: [{ type: 'tool', id: 'invoices.read' }] })
  expect(ruleFor([tools], read)).toBe('tools')
  expect(ruleFor([tools], pay)).toBe(none)
  expect(ruleFor([tools], read, pay)).toBe(partly('tools'))
  expect(ruleFor([tools], { ...read, actions: ['tools/call', 'tools/list'] })).toBe(partly('tools'))
  expect(ruleFor([rule('all', 1, { resources: [{ type: 'tool' }] })], read, pay)).toBe('all')
  const v1 = rule('v1', 1, { resources: [{ type: 'api', id_prefix: 'https://erp.example/v1/' }] })
  expect(ruleFor([v1], api('https://erp.example/v1/invoices/', 'GET'))).toBe('v1')
  expect(ruleFor([v1], api('https://erp.example/v2/', 'GET'))).toBe(none)
})

it('leaves the rule about the registry out of it', () => {
  expect(ruleFor([rule('registry', 0, {}), rule('rest', 2, {})], read)).toBe('rest')
  expect(ruleFor([rule('registry', 0, {})], read)).toBe(none)
})

it('lets no request evade a strict rule by asking for more besides', () => {
  const strict = rule('payments', 1, { actions: ['tools/call'], resources: [{ type: 'tool', id: 'payments.post' }] })
  const lax = rule('rest', 2, {})
  expect(ruleFor([strict, lax], pay)).toBe('payments')
  expect(ruleFor([strict, lax], read)).toBe('rest')
  expect(ruleFor([strict, lax], pay, read)).toBe(partly('payments'))
  expect(ruleFor([strict, lax], { ...pay, actions: ['tools/call', 'tools/list'] })).toBe(partly('payments'))
})

it('lets no request evade a strict rule by asking for something broader', () => {
  const lax = rule('rest', 2, {})
  const below = rule('prod', 1, { resources: [{ type: 'api', id_prefix: 'https://erp.example/prod/' }] })
  const one = rule('root', 1, { resources: [{ type: 'api', id: 'https://erp.example/prod/root' }] })
  const broken = rule('broken', 1, { resources: [{ type: 'api', id_prefix: 'https://erp.example/prod' }] })
  expect(ruleFor([below, lax], api('https://erp.example/', 'GET'))).toBe(partly('prod'))
  expect(ruleFor([one, lax], api('https://erp.example/', 'GET'))).toBe(partly('root'))
  expect(ruleFor([broken, lax], api('https://erp.example/prod/x/', 'GET'))).toBe(partly('broken'))
  expect(ruleFor([below, one, broken, lax], api('https://erp.example/test/', 'GET'))).toBe('rest')
})

it('holds for no agent that the registry does not know', () => {
  const view = { rules: byId(rule('r', 1, {})), agents: byId<Agent>(), toolServers: byId<ToolServer>() }
  expect(matchRule(view, { agent: instance, authority: authorityOf(read) })).toMatchObject({ code: 'agent_unknown' })
})

it('knows agents by their labels, and by these alone when they are named', () => {
  const byLabel = rule('trusted', 1, { agent_labels: ['trusted', 'old'] })
  expect(ruleOf([byLabel], authorityOf(read), ['x', 'old'])).toBe('trusted')
  expect(ruleOf([byLabel], authorityOf(read), ['x'])).toBe(none)
  expect(ruleOf([rule('nobody', 1, { agent_labels: [] })], authorityOf(read), ['x'])).toBe(none)
})

describe('labels of tools', () => {
  const strict = rule('strict', 1, { labels: ['destructive'] })
  const unknown = rule('unknown', 1, { labels: ['unlabelled'] })
  const lax = rule('lax', 9, {})
  const below = { actions: ['tools/call'], resource: { type: 'tool', id_prefix: 'https://erp.example/' } }

  it('are those that the registry has, and unlabelled where it has none', () => {
    expect(ruleFor([strict, lax], tool('erp/drop'))).toBe('strict')
    expect(ruleFor([strict, lax], tool('erp/read'))).toBe('lax')
    expect(ruleFor([unknown, lax], tool('erp/read'))).toBe('lax')
    expect(ruleFor([unknown, lax], tool('erp/ping'))).toBe('lax')
    for (const id of ['erp/else', 'other/read', 'read', 'erp/constructor', '/read'])
      expect(ruleFor([unknown, lax], tool(id))).toBe('unknown')
    expect(ruleFor([unknown, lax], api('https://erp.example/', 'GET'))).toBe('lax')
  })

  it('let no request evade a strict rule by naming a harmless tool besides, or all tools below a prefix', () => {
    expect(ruleFor([strict, lax], tool('erp/read'), tool('erp/drop'))).toBe(partly('strict'))
    expect(ruleFor([unknown, lax], below)).toBe('unknown')
    const web: ToolServer = { ...erp, id: 'https:', tools: { '/erp.example/drop': { labels: ['destructive'] } } }
    const view = { rules: byId(strict, lax), agents: byId(agent), toolServers: byId(web) }
    const matched = matchRule(view, { agent: instance, authority: authorityOf(below) })
    expect(matched).toMatchObject({ ok: false, detail: partly('strict') })
  })
})

describe('one ask costs one look at each tool that it may reach, however many rules there are (V18)', () => {
  const prefixes = Array.from({ length: 64 }, (_, n) => ({
    actions: ['tools/call'],
    resource: { type: 'tool', id_prefix: `https://h${n}.example/` },
  }))
  const rules = [...Array.from({ length: 30 }, (_, n) => rule(`r${n}`, n, { labels: [`l${n}`] })), rule('lax', 99, {})]

  it.each([
    ['none of a server that no prefix could be of', 'erp', 0],
    ['once for each permission, of one that they could', 'https:', 64 * 64],
  ])('%s', (_, id, most) => {
    let looks = 0
    const tool = {
      get labels() {
        looks++
        return ['writes']
      },
    }
    const tools = Object.fromEntries(prefixes.map((_, n) => [`/h${n}.example/post`, tool]))
    const toolServers = byId<ToolServer>({ ...erp, id, tools })
    const authority = authorityOf(...prefixes)
    const matched = matchRule(
      { rules: byId(...rules), agents: byId(agent), toolServers },
      { agent: instance, authority },
    )
    expect(matched).toMatchObject({ ok: true, rule: { id: 'lax' } })
    expect(looks).toBeLessThanOrEqual(most)
  })
})

describe('a cost above which a rule holds', () => {
  const cost = { amount: '/amount', currency: '/currency' }
  const spend = { ...tool('erp/pay'), cost }
  const dear = rule('dear', 1, { cost_above: { EUR: '100', USD: '50.5' } })
  const rest = rule('rest', 2, {})
  const of = (budget: object | undefined, ...permissions: object[]) =>
    ruleOf([dear, rest], authorityWithin(budget === undefined ? {} : { cost: budget }, ...permissions))

  it.each<[string, Record<string, string> | undefined, string]>([
    ['not the amount itself', { EUR: '100.00', USD: '50.500000' }, 'rest'],
    ['the millionth above it', { EUR: '100.000001' }, 'dear'],
    ['any one of the currencies', { EUR: '1', USD: '51' }, 'dear'],
    ['not a currency that it does not name', { GBP: '1000000' }, 'rest'],
    ['nothing that the budget has no money for', undefined, 'rest'],
  ])('is %s', (_, budget, expected) => {
    expect(of(budget, spend)).toBe(expected)
  })

  const below = { actions: ['tools/call'], resource: { type: 'tool', id_prefix: 'https://erp.example/' } }
  it.each<[string, object]>([
    ['another argument, which may always be small', { ...tool('erp/pay'), cost: { ...cost, amount: '/decoy' } }],
    ['another currency', { ...tool('erp/pay'), cost: { ...cost, currency: '/decoy' } }],
    ['another spelling', { ...tool('erp/pay'), cost: { ...cost, amount: '/amount/' } }],
    ['its own, of a tool that declares none', { ...tool('erp/ping'), cost }],
    ['its own, of a tool without a description', { ...tool('erp/else'), cost }],
    ['its own, of a server that is not registered', { ...tool('other/pay'), cost }],
    ['that of one tool, of all below a prefix', { ...below, cost }],
    ['that of a tool, of what is none', { ...tool('erp/pay'), resource: { type: 'api', id: 'erp/pay' }, cost }],
  ])('is not evaded by naming for the cost %s (V3)', (_, permission) => {
    expect(of({ EUR: '1' }, permission)).toBe('dear')
    expect(of({ EUR: '1' }, spend, permission)).toBe(partly('dear'))
    expect(of({ EUR: '1' }, spend)).toBe('rest')
  })

  it('is not evaded by leaving out where the cost stands: the cost could not be counted', () => {
    expect(of({ EUR: '1' }, tool('erp/pay'))).toBe('dear')
    expect(of({ EUR: '1' }, spend, tool('erp/pay'))).toBe(partly('dear'))
  })
})

it('gives no rule where something is missing, unknown or only partly held: then the request cannot be approved (V13)', () => {
  const strict = rule('strict', 1, { labels: ['destructive'] })
  const loose = rule('loose', 2, { resources: [{ type: 'tool', id: 'erp/ping' }] })
  const view = { rules: byId(strict, loose), agents: byId({ ...agent, labels: [] }), toolServers: byId(erp) }
  const refusal = (over: object, who: string, authority: Authority) => {
    const matched = matchRule({ ...view, ...over }, { agent: who, authority })
    return matched.ok ? matched.rule.id : matched.code
  }
  const [ping, drop] = [authorityOf(tool('erp/ping')), authorityOf(tool('erp/drop'), tool('erp/ping'))]
  expect(refusal({}, instance, ping)).toBe('loose')
  expect(refusal({}, instance, drop)).toBe('approval_rule_missing')
  expect(refusal({ rules: byId() }, instance, ping)).toBe('approval_rule_missing')
  expect(refusal({ agents: byId() }, instance, ping)).toBe('agent_unknown')
  for (const who of ['', 'x', agent.id, `${agent.id}x/one`]) expect(refusal({}, who, ping)).toBe('agent_unknown')
  expect(refusal({}, instance, authorityOf(read))).toBe('approval_rule_missing')
})
