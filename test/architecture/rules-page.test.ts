import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type RuleView, splitByRule } from '@bailiwick/approval-statement'
import { parseAuthority } from '@bailiwick/authority'
import { parseRegistry } from '@bailiwick/cli'
import type { Agent, Rule, ToolServer } from '@bailiwick/contracts'
import { expect, it } from 'vitest'

const page = readFileSync(join(import.meta.dirname, '../../docs/how-to/rules.md'), 'utf8')
const { entities: wanted } = parseRegistry(/```yaml\n(.*?)```/s.exec(page)?.[1] ?? '', 'rules.md')
const of = <T>(type: string) =>
  new Map(wanted.flatMap((each) => (each.type === type ? [[each.id, each.value as T] as const] : [])))
const agent = 'spiffe://acme.example/agent/ledger'
const viewOf = (labels: string[]): RuleView => ({
  rules: of<Rule>('rule'),
  agents: new Map<string, Pick<Agent, 'labels' | 'attestor'>>([[agent, { labels, attestor: { kind: 'join_token' } }]]),
  toolServers: of<ToolServer>('tool-server'),
})

const shown = [...page.matchAll(/^\| (`erp\/.*) \| (.*) \|$/gm)].map(
  ([, asks = '', rules = '']) => [asks, rules] as const,
)

it('shows the results of some requests', () => {
  expect(shown.length).toBeGreaterThan(5)
})

it.each(shown)('rules.md: %s becomes %s', (asks, rules) => {
  const amount = /at most (\d+) EUR/.exec(asks)?.[1]
  const permissions = [...asks.matchAll(/`(erp\/[^`]+)`/g)].map(([, id = '']) => ({
    actions: ['tools/call'],
    resource: { type: 'tool', id },
    arguments: 'closed',
    ...(id === 'erp/payments.post' && amount !== undefined
      ? { cost: { amount: asks.includes('another argument') ? '/discount' : '/amount', currency: '/currency' } }
      : {}),
  }))
  const budget = amount === undefined ? {} : { cost: { EUR: amount } }
  const parsed = parseAuthority({ type: 'bailiwick_task', task: 't', permissions, budget })
  if (!parsed.ok) throw new Error(parsed.detail)
  const labels = asks.includes('on trial') ? ['trial'] : []
  const split = splitByRule(viewOf(labels), { agent: `${agent}/one`, authority: parsed.authority })
  if (!split.ok) throw new Error(split.detail)
  expect(split.items.map(({ rule }) => rule.id).join(', ')).toBe(rules)
})
