import { type Authority, parseAuthority } from '@bailiwick/authority'
import type { Rule } from '@bailiwick/contracts'
import { expect, it } from 'vitest'
import { matchRule } from './match-rule.ts'
import { agent, aRule } from './samples.test-data.ts'

const instance = `${agent.id}/one`
const read = { actions: ['tools/call'], resource: { type: 'tool', id: 'invoices.read' } }
const pay = { actions: ['tools/call'], resource: { type: 'tool', id: 'payments.post' } }
const api = (id_prefix: string, ...actions: string[]) => ({ actions, resource: { type: 'api', id_prefix } })

function authorityOf(...permissions: object[]): Authority {
  const parsed = parseAuthority({ type: 'bailiwick_task', task: 't', permissions })
  if (!parsed.ok) throw new Error(parsed.detail)
  return parsed.authority
}

function ruleFor(rules: Rule[], ...permissions: object[]): string {
  const matched = matchRule(rules, { agent: instance, authority: authorityOf(...permissions) })
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
  ['any agent, when none is named', {}, 'r'],
  ['any agent, by *', { agents: ['*'] }, 'r'],
  ["an agent's instance, by the agent", { agents: [agent.id] }, 'r'],
  ['one instance', { agents: [instance] }, 'r'],
  ['no agent whose name only begins alike', { agents: ['spiffe://acme.example/agent/led'] }, none],
  ['no other agent', { agents: ['spiffe://acme.example/agent/other'] }, none],
  ['nobody, when the list is empty', { agents: [] }, none],
])('holds for %s', (_, match, expected) => {
  expect(ruleFor([rule('r', 1, match)], read)).toBe(expected)
})

it('holds only when every action and every resource is within its own', () => {
  const tools = rule('tools', 1, { actions: ['tools/call'], resources: [{ type: 'tool', id: 'invoices.read' }] })
  expect(ruleFor([tools], read)).toBe('tools')
  expect(ruleFor([tools], pay)).toBe(none)
  expect(ruleFor([tools], read, pay)).toBe(partly('tools'))
  expect(ruleFor([tools], { ...read, actions: ['tools/call', 'tools/list'] })).toBe(partly('tools'))
  expect(ruleFor([rule('all', 1, { resources: [{ type: 'tool' }] })], read, pay)).toBe('all')
  const erp = rule('erp', 1, { resources: [{ type: 'api', id_prefix: 'https://erp.example/v1/' }] })
  expect(ruleFor([erp], api('https://erp.example/v1/invoices/', 'GET'))).toBe('erp')
  expect(ruleFor([erp], api('https://erp.example/v2/', 'GET'))).toBe(none)
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
