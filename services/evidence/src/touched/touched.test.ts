import { expect, it } from 'vitest'
import type { Values } from '../index/activity.ts'
import type { Key, TouchedHour, Value } from '../index/index-format.ts'
import { told } from '../trace/story.fixture.ts'
import { deniedOf } from './denied-view.ts'
import { touchOf } from './touch-of.ts'
import { countTouch } from './touched.ts'
import { touchedOf } from './touched-view.ts'

const [holder, helper] = ['spiffe://acme.example/agent/holder', 'spiffe://acme.example/agent/helper']
const tool = { type: 'tool', id: 'pay' }

/** An index in memory. */
class Index {
  readonly #values = new Map<string, readonly [Key, Value]>()
  readonly values: Values = {
    get: (key) => this.#values.get(key.join(' '))?.[1],
    put: (key, value) => void this.#values.set(key.join(' '), [key, value]),
  }

  add(type: string, data: object, at = 1000): void {
    for (const touch of touchOf(type, data)) countTouch(this.values, at, touch)
  }

  rows(agent: string): TouchedHour[] {
    const rows = [...this.#values.values()].filter(([key]) => key[0] === 'touched').map(([, value]) => value)
    return (rows as TouchedHour[]).filter((row) => row.agent === agent)
  }

  of(agent: string) {
    return touchedOf(this.rows(agent), { from: 0, to: 3_600_000 })
  }
}

const allow = (decision_id: string, more: object = {}) => ({
  decision_id,
  actor: { agent: `${holder}/one` },
  action: { name: 'tools/call', resource: tool },
  reserved: { calls: 1, cost: { EUR: '2.50' }, egress_bytes: 0 },
  ...more,
})
const outcome = (decision_id: string, status = 'succeeded', cost: Record<string, string> = {}) => ({
  decision_id,
  status,
  released: { calls: 0, cost, egress_bytes: 0 },
})

it('counts calls with their outcomes and their money, and denials by their reason', () => {
  const index = new Index()
  for (const id of ['dec_1', 'dec_2', 'dec_3']) index.add('decision.allowed', allow(id))
  index.add('outcome.reported', outcome('dec_1'))
  index.add('outcome.reported', outcome('dec_2', 'not_executed', { EUR: '2.5' }))
  index.add('outcome.missing', { decision_id: 'dec_3' })
  index.add('decision.denied', { ...allow('dec_4'), reason: 'budget_exhausted' })
  index.add('denials.summarised', { denials: [{ subject: `${holder}/one`, reason: 'rate_limited', count: 7 }] })
  const touched = index.of(holder)
  expect(touched).toMatchObject({
    allowed: 3,
    denied: 8,
    outcomes: { succeeded: 1, not_executed: 1, missing: 1 },
    reasons: { budget_exhausted: 1, rate_limited: 7 },
    cost: { EUR: '5' },
    complete: true,
    more_things: 0,
  })
  expect(touched.things).toMatchObject([
    { action: 'tools/call', type: 'tool', resource: 'pay', allowed: 3, denied: 1 },
    { denied: 7 },
  ])
})

it('counts what a sub-agent did for all for whom it acted, and says through whom', () => {
  const index = new Index()
  const actor = { agent: `${holder}/one`, sub_agent: `${helper}/two` }
  const chain = [{ delegation_id: 'dlg_1', agent: `${helper}/two` }]
  index.add('decision.allowed', allow('dec_1', { actor, chain }))
  index.add('outcome.reported', outcome('dec_1', 'failed'))
  expect(index.of(helper)).toMatchObject({ allowed: 1, outcomes: { failed: 1 }, cost: { EUR: '2.5' } })
  expect(index.of(helper).things[0]).not.toHaveProperty('through')
  expect(index.of(holder).things).toMatchObject([{ through: helper, allowed: 1, outcomes: { failed: 1 } }])
})

it('counts no ALLOW that was taken back, no round twice, and what a mapping made of a call as no call of its own', () => {
  const index = new Index()
  index.add('decision.allowed', allow('dec_1', { mapped: [{ name: 'read', resource: { type: 'ledger', id: 'L-1' } }] }))
  index.add('decision.allowed', allow('dec_2', { continues: { decision_id: 'dec_1' }, reserved: { cost: {} } }))
  index.add('decision.allowed', allow('dec_3'))
  index.add('decision.abandoned', { decision_id: 'dec_3' })
  const touched = index.of(holder)
  expect(touched).toMatchObject({ allowed: 1, cost: { EUR: '2.5' }, outcomes: { taken_back: 1 } })
  expect(touched.things).toMatchObject([
    { resource: 'pay', allowed: 1 },
    { resource: 'L-1', mapped: true, allowed: 1, cost: {} },
  ])
})

it('believes no second outcome, and none that gives back more than was taken (V9)', () => {
  const index = new Index()
  index.add('decision.allowed', allow('dec_1'))
  index.add('outcome.reported', outcome('dec_1', 'not_executed', { EUR: '2000.00' }))
  index.add('outcome.reported', outcome('dec_1', 'not_executed', { EUR: '2.50' }))
  index.add('outcome.reported', outcome('dec_unknown', 'succeeded', { EUR: '2.50' }))
  index.add('decision.allowed', allow('dec_2'))
  index.add('outcome.reported', outcome('dec_2', 'succeeded', { USD: '1' }))
  expect(index.of(holder)).toMatchObject({
    allowed: 2,
    cost: { EUR: '5' },
    outcomes: { not_executed: 1, succeeded: 1 },
  })
})

it('reads nothing from data of another form', () => {
  for (const data of [undefined, null, 7, [], {}, { actor: 7 }, { decision_id: {}, actor: { agent: 'someone' } }])
    for (const type of ['decision.allowed', 'decision.denied', 'denials.summarised', 'decision.abandoned'])
      expect([type, touchOf(type, data)]).toEqual([type, []])
  const named = Object.fromEntries([['__proto__', 1]])
  const index = new Index()
  index.add('decision.denied', { ...allow('dec_1'), reason: 'constructor' })
  index.add('decision.denied', { ...allow('dec_1'), reason: 'constructor', ...named })
  expect(index.of(holder).reasons).toEqual({ constructor: 2 })
})

it('has a row for the most used things only, and counts the rest', () => {
  const index = new Index()
  for (let n = 0; n < 250; n++)
    index.add(
      'decision.allowed',
      allow(`dec_${n}`, { action: { name: 'read', resource: { type: 'file', id: `f${n}` } } }),
    )
  const touched = index.of(holder)
  expect([touched.things.length, touched.more_things, touched.allowed]).toEqual([200, 50, 250])
})

it('hides nothing that was used behind denials', () => {
  const index = new Index()
  index.add('decision.allowed', allow('dec_used'))
  for (let n = 0; n < 500; n++) {
    const action = { name: 'read', resource: { type: 'file', id: `f${n % 250}` } }
    index.add('decision.denied', { ...allow(`dec_${n}`, { action }), reason: 'budget_exhausted' }, 2000)
  }
  const touched = index.of(holder)
  expect(touched).toMatchObject({ allowed: 1, denied: 500, more_things: 51 })
  expect(touched.things[0]).toMatchObject({ resource: 'pay', allowed: 1 })
})

it('counts by the hour, a mapped action not as a call', () => {
  const index = new Index()
  const mapped = [{ name: 'read', resource: { type: 'ledger', id: 'L-1' } }]
  index.add('decision.allowed', allow('dec_1', { mapped }))
  index.add('decision.denied', { ...allow('dec_2'), reason: 'budget_exhausted' }, 3_600_000)
  index.add('decision.allowed', allow('dec_3'), 7_199_999)
  expect(index.of(holder).hours).toEqual([
    { at: '1970-01-01T00:00:00.000Z', allowed: 1, denied: 0, reasons: {} },
    { at: '1970-01-01T01:00:00.000Z', allowed: 1, denied: 1, reasons: { budget_exhausted: 1 } },
  ])
})

it('says which agents were denied which tools: for the agent that acted alone', () => {
  const index = new Index()
  const mapped = [{ name: 'read', resource: { type: 'ledger', id: 'L-1' } }]
  const denial = { ...allow('dec_1', { mapped }), reason: 'budget_exhausted' }
  index.add('decision.denied', denial)
  index.add('decision.denied', { ...denial, reason: 'rate_limited' })
  index.add('decision.denied', { ...denial, actor: { agent: `${holder}/one`, sub_agent: `${helper}/two` } })
  index.add('decision.allowed', allow('dec_2'))
  index.add('denials.summarised', { denials: [{ subject: `${helper}/two`, reason: 'rate_limited', count: 7 }] })
  const agents = [holder, helper].map((agent) => ({ agent, denied: 2, rows: index.rows(agent), isWhole: true }))
  const [first, second] = deniedOf({ agents, moreAgents: 3 }, { from: 0, to: 1 }).agents
  expect(first).toEqual({
    ...{ agent: holder, denied: 2, complete: true },
    things: [
      {
        ...{ action: 'tools/call', type: 'tool', resource: 'pay', denied: 2 },
        reasons: { budget_exhausted: 1, rate_limited: 1 },
      },
    ],
  })
  expect(second?.things).toEqual([
    { denied: 7, reasons: { rate_limited: 7 } },
    { action: 'tools/call', type: 'tool', resource: 'pay', denied: 1, reasons: { budget_exhausted: 1 } },
  ])
})

it('answers for one agent between two times, over HTTP', async () => {
  await told({}, async (story, { instance, grant_id }, evidence) => {
    const ask = async (members: Record<string, string>) => {
      const answer = await evidence.http.inject({ url: `/v1/touched?${new URLSearchParams(members)}` })
      return { status: answer.statusCode, body: answer.json() }
    }
    const [from, to] = [new Date(Date.now() - 3_600_000).toISOString(), new Date(Date.now() + 60_000).toISOString()]
    const { status, body } = await ask({ agent: story.agent.id, from, to })
    expect([status, body]).toEqual([
      200,
      expect.objectContaining({
        agent: story.agent.id,
        allowed: 2,
        denied: 0,
        outcomes: { succeeded: 2 },
        complete: true,
        things: [
          expect.objectContaining({ action: 'tools/call', type: 'tool', resource: 'invoices.read', allowed: 2 }),
        ],
      }),
    ])
    const before = { from: '2026-01-01T00:00:00Z', to: '2026-01-02T00:00:00Z' }
    expect((await ask({ agent: story.agent.id, ...before })).body).toMatchObject({ allowed: 0, things: [] })
    expect((await ask({ agent: instance, from, to })).body).toMatchObject({ allowed: 0, things: [] })
    for (const wrong of [
      { agent: story.agent.id },
      { from, to },
      { agent: story.agent.id, from: to, to: from },
      { agent: story.agent.id, from: '2026-01-01T00:00:00Z', to: '2026-02-02T00:00:01Z' },
      { agent: `spiffe://${'a'.repeat(2100)}`, from, to },
      { agent: story.agent.id, from, to, limit: '100000' },
    ])
      expect([wrong, (await ask(wrong as Record<string, string>)).status]).toEqual([wrong, 400])

    const found = await evidence.http.inject({ url: `/v1/events?id=${grant_id}&type=decision.allowed` })
    expect(found.json().events).toMatchObject(
      [0, 1].map(() => ({
        action: 'tools/call',
        resource: 'invoices.read',
        arguments: { '/invoice': 'INV-1' },
        grant_id,
        decision_id: expect.stringMatching(/^dec_/),
        outcome: { status: 'succeeded', at: expect.any(String) },
      })),
    )
  })
})
