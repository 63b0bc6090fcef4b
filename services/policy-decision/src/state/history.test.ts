import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { cedarEngine, historyIn, requireKnownHistory, type Shape, shapesOf } from '@bailiwick/policy'
import { type AllowRecord, DecisionState, emptySpend, type Touch, without } from '@bailiwick/projection'
import { anEvent } from '@bailiwick/projection/events-fixture'
import { describe, expect, it } from 'vitest'
import { historyOf, labelsOf } from './history.ts'

const shipped = readFileSync(join(import.meta.dirname, '../../../../policies/schema.cedarschema'), 'utf8')
/** The shipped schema with two labels added, as a security team would add its own. */
const schema = shipped
  .replaceAll('count: { ', 'count: { reviewed: Long, pays: Long, ')
  .replaceAll('last: { ', 'last: { pays?: Long, ')
  .replaceAll('spent: { ', 'spent: { pays: Money, ')
const now = 1_790_000_000_000

type Did = Record<string, { count?: number; euros?: bigint; secondsAgo?: number }>
const touched = (did: Did) =>
  new Map(
    Object.entries(did).map(([label, { count = 1, euros = 0n, secondsAgo = 0 }]): [string, Touch] => [
      label,
      { count, spent: new Map([['EUR', euros]]), lastAt: now - secondsAgo * 1000 },
    ]),
  )

interface Past {
  task?: Did
  taskDepth?: number
  depth?: number
  totals?: bigint
}

function history({ task = {}, totals = 0n, taskDepth = 0, depth = 0 }: Past, of = schema) {
  const shape = historyIn(shapesOf(of).context({ type: 'Action', id: 'tools/call' }))
  const tree = { ...emptySpend(), labels: touched(task), depth: taskDepth }
  tree.taken.cost.set('EUR', totals)
  tree.taken.calls = 3n
  const decisions = new DecisionState({ base: false })
  return historyOf(shape, { decisions, root: 'grt_1', tree, agent: 'a', owner: 'o', depth, now })
}

function judged(policy: string, past: Past, labels = ['pays']) {
  const files = { 'schema.cedarschema': schema, 'a.cedar': `permit (principal, action, resource);\n${policy}` }
  const engine = cedarEngine(new Map(Object.entries(files).map(([name, text]) => [name, Buffer.from(text)])))
  return engine.evaluate({
    principal: { type: 'agent', id: 'a', attributes: { instance: 'i', owner: 'o', labels: [] } },
    action: 'tools/call',
    resource: { type: 'tool', id: 'bank/pay', attributes: { labels, server: 'bank' } },
    context: {
      grant: { id: 'grt_1', task: 'task', mode: 'window', approvers: 1, seconds_left: 60 },
      proof: 'agent_signed',
      time: { hour: 12, weekday: 2 },
      history: history(past),
    },
  }).outcome
}

const pays = 'resource.labels.contains("pays")'
const forbid = (condition: string) =>
  `@id("rule") forbid (principal, action == Action::"tools/call", resource) when { ${pays} && ${condition} };`
const spent = 'context.history.task.spent'

const record = (members: Record<string, Shape>): Shape => ({
  kind: 'Record',
  members: new Map(Object.entries(members)),
  optional: new Set(),
})

it('does not tell a further round of its own call, and tells what that touched (V9)', () => {
  const decisions = new DecisionState({ base: false })
  const agent = 'spiffe://example.org/agent/reconciler'
  const allow = (n: number, reserved: object) =>
    anEvent('decisions.v1', 'decision.allowed', {
      ...{ partitionkey: 'grt_1', version: n, time: new Date(now).toISOString() },
      data: {
        ...{
          decision_id: `dec_${n}`,
          call_id: `call_${n}`,
          proof_id: `${n}`,
          permission: 0,
          reserved,
          chain: undefined,
        },
        ...{ labels: ['pays'], owners: ['o'], after: undefined, continues: undefined, step_up: undefined },
        actor: { agent: `${agent}/i1`, credential_id: 'c', grant_id: 'grt_1', request_id: 'r', task: 't' },
      } as never,
    })
  const reserved = (euros: string) => ({ calls: 1, egress_bytes: 0, cost: { EUR: euros } })
  for (const [n, euros] of [
    [1, '5'],
    [2, '7'],
  ] as const)
    expect(decisions.apply(allow(n, reserved(euros)))).toBe('counts')
  const tree = decisions.trees.get('grt_1') ?? emptySpend()
  const shape = historyIn(shapesOf(schema).context({ type: 'Action', id: 'tools/call' }))
  const told = (own?: AllowRecord) =>
    historyOf(shape, { decisions, root: 'grt_1', tree, agent, owner: 'o', depth: 0, now, own })
  const own = tree.allows.get('dec_2')
  const facts = (calls: number, euros: string) => ({
    ...{ calls, labels: ['pays'] },
    count: expect.objectContaining({ pays: calls }),
    spent: expect.objectContaining({ EUR: euros, pays: expect.objectContaining({ EUR: euros }) }),
    last: { pays: 0 },
  })
  expect(told()).toMatchObject({ task: facts(2, '12.0000'), agent: facts(2, '12.0000'), owner: facts(2, '12.0000') })
  expect(told(own)).toMatchObject({ task: facts(1, '5.0000'), agent: facts(1, '5.0000'), owner: facts(1, '5.0000') })
  // The rest of the money came back with its outcome.
  const rest = { released: { calls: 0, egress_bytes: 0, cost: { EUR: '3' } } }
  expect(
    without({ calls: 2, spent: new Map([['EUR', 9_000_000n]]), labels: new Map() }, { ...own, ...rest } as never),
  ).toEqual({
    ...{ calls: 1, labels: new Map() },
    spent: new Map([['EUR', 5_000_000n]]),
  })
  // The agent had another owner then.
  expect(told({ ...own, owners: [] } as never)).toMatchObject({ owner: { calls: 2 }, agent: { calls: 1 } })
})

it('tells of the task what the tree took and was denied, and of the agent and its owner what was done anywhere, with what is ahead', () => {
  const facts = record({ calls: { kind: 'Long' }, denials: { kind: 'Long' } })
  const asked: unknown[][] = []
  const elsewhere = { calls: 7, denials: 5, depth: 0, spent: new Map(), labels: new Map() }
  const decisions = {
    history: { of: (...what: unknown[]) => asked.push(what) && elsewhere },
    owners: { of: (...what: unknown[]) => asked.push(what) && { ...elsewhere, calls: 9 } },
    denials: { of: (root: string) => (root === 'grt_1' ? 2 : 0) },
  } as unknown as DecisionState
  const tree = { ...emptySpend(), ahead: [] }
  tree.taken.calls = 3n
  const said = historyOf(record({ task: facts, agent: facts, owner: record({ calls: { kind: 'Long' } }) }), {
    ...{ decisions, root: 'grt_1', tree, agent: 'a', owner: 'o', depth: 0, now },
  })
  expect(said).toEqual({ task: { calls: 3, denials: 2 }, agent: { calls: 7, denials: 5 }, owner: { calls: 9 } })
  expect(asked).toEqual([
    ['a', now, tree.ahead],
    ['o', now, tree.ahead],
  ])
  expect(asked[0]?.[2]).toBe(tree.ahead)
})

it('takes what a tool does from its server in the registry', () => {
  const tools = { pay: { labels: ['pays'] } }
  const registry = {
    get: (kind: string, id: string) => (kind === 'tool-server' && id === 'bank' ? { tools } : undefined),
  }
  const of = (type: string, id: string) => labelsOf(registry as never, { type, id })
  expect([of('tool', 'bank/pay'), of('tool', 'other/pay'), of('api', 'bank/pay')]).toEqual([
    ['pays'],
    ['unlabelled'],
    [],
  ])
})

describe('rules over history are plain Cedar', () => {
  it.each<[what: string, policy: string, allowed: Past, denied: Past]>([
    [
      'order: nothing is paid after something was read from outside',
      forbid('context.history.task.labels.contains("reads_untrusted")'),
      { task: { reads_private: {} } },
      { task: { reads_untrusted: { secondsAgo: 9000 } } },
    ],
    [
      'prerequisite: nothing is paid before a review was done',
      forbid('context.history.task.count.reviewed == 0'),
      { task: { reviewed: {} } },
      { task: { reviewed: { count: 0 } } },
    ],
    [
      'count: three payments a task',
      forbid('context.history.task.count.pays >= 3'),
      { task: { pays: { count: 2 } } },
      { task: { pays: { count: 3 } } },
    ],
    [
      'running total of a label',
      forbid(`${spent}.pays.EUR.greaterThan(decimal("100.00"))`),
      { task: { pays: { euros: 100_000_000n } } },
      { task: { pays: { euros: 100_000_001n } } },
    ],
    [
      'running total in all',
      forbid(`${spent}.EUR.greaterThan(decimal("100.00"))`),
      { totals: 100_000_000n },
      { totals: 100_000_001n },
    ],
    [
      'cool-down: five minutes between payments',
      forbid('context.history.task.last has pays && context.history.task.last.pays < 300'),
      { task: { pays: { secondsAgo: 300 } } },
      { task: { pays: { secondsAgo: 299 } } },
    ],
    ['depth: no payments by sub-agents', forbid('context.history.task.depth > 0'), {}, { depth: 1 }],
    ['depth: none once it was passed on', forbid('context.history.task.depth > 0'), {}, { taskDepth: 2 }],
  ])('%s', (_, policy, allowed, denied) => {
    expect([judged(policy, {}) === 'error', judged(policy, allowed), judged(policy, denied)]).toEqual([
      false,
      'allow',
      'deny',
    ])
    expect(judged(policy, denied, ['reads_private'])).toBe('allow')
  })

  it('those of docs/how-to/rules.md load', () => {
    const page = readFileSync(join(import.meta.dirname, '../../../../docs/how-to/rules.md'), 'utf8')
    const texts = Array.from(page.matchAll(/```cedar\n(.*?)```/gs), ([, text]) => text ?? '')
    expect(texts.length).toBeGreaterThan(1)
    expect(judged(texts.join('\n'), { task: { writes: { secondsAgo: 59 } } }, ['writes'])).toBe('deny')
    expect(judged(texts.join('\n'), { task: { writes: { secondsAgo: 60 } } }, ['writes'])).toBe('allow')
  })

  it('a label that the schema does not list is refused as the policies load, not passed over', () => {
    expect(() => judged(forbid('context.history.task.count.payz > 3'), {})).toThrow('payz')
  })
})

describe('what is filled', () => {
  it('is exactly what the schema declares, after any tool; an older policy set works as before', () => {
    const before =
      'entity agent; entity tool; action "tools/call" appliesTo { principal: [agent], resource: [tool], context: C };'
    const old = `${before} type T = { labels: Set<String>, calls: Long }; type C = { history: { task: T } };`
    expect(history({ task: { unheard_of: {} } }, old)).toEqual({ task: { labels: ['unheard_of'], calls: 3 } })
    expect(
      history({}, 'entity agent; action "tools/call" appliesTo { principal: [agent], resource: [agent] };'),
    ).toEqual({})
  })

  it('rounds money up to what Cedar can say, and stops at its end', () => {
    const money = (totals: bigint) => {
      const { task } = history({ totals }) as { task: { spent: { EUR: string } } }
      return task.spent.EUR
    }
    const amounts = [0n, 1n, 100n, 101n, 1_500_000n, 2n ** 80n].map(money)
    expect(amounts).toEqual(['0.0000', '0.0001', '0.0001', '0.0002', '1.5000', '922337203685477.5807'])
  })

  it('says no last time that lies ahead', () => {
    expect(history({ task: { pays: { secondsAgo: -9 } } })).toMatchObject({ task: { last: { pays: 0 } } })
  })
})

it.each([
  ['task: { labels: Set<String>, unheard: Long }', 'history.task.unheard'],
  ['task: { count: { a: decimal } }', 'history.task.count'],
  ['task: { last: { a: Long } }', 'must be optional'],
  ['tasks: { calls: Long }', 'history.tasks'],
])('refuses a schema that wants what the history does not have: %s', (members, why) => {
  const text = `entity a; action "x" appliesTo { principal: [a], resource: [a], context: { history: { ${members} } } };`
  expect(() => requireKnownHistory(shapesOf(text))).toThrow(why)
})

it('takes the schema that is shipped', () => {
  expect(() => requireKnownHistory(shapesOf(schema))).not.toThrow()
})
