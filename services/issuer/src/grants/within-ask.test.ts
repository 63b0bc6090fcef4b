import { itemIdOf, requestIdOf } from '@bailiwick/approval-statement'
import { type Authority, parseAuthority } from '@bailiwick/authority'
import type { ApprovalStatement, Rule } from '@bailiwick/contracts'
import type { AccessRequest } from '@bailiwick/credentials'
import { describe, expect, it } from 'vitest'
import { outsideAsk } from './within-ask.ts'

const agent = 'spiffe://acme.example/agent/ledger'
const jws = 'a.b.c'
const task = requestIdOf(jws)
const iso = (ms: number) => new Date(Date.parse('2026-11-24T12:00:00.000Z') + ms).toISOString()
const tool = (id: string) => ({ actions: ['tools/call'], resource: { type: 'tool', id } })

function authorityOf(budget: object, ...permissions: object[]): Authority {
  const parsed = parseAuthority({ type: 'bailiwick_task', task: 't', permissions, budget })
  if (!parsed.ok) throw new Error(parsed.detail)
  return parsed.authority
}
const whole = authorityOf({ calls: 10 }, tool('erp/read'), tool('erp/drop'))
const part = (n: number, calls: number) => ({
  ...whole,
  permissions: whole.permissions.slice(n, n + 1),
  budget: { calls },
})

interface Situation {
  given?: Authority
  receivedAs?: Authority
  request_id?: string
  item?: { task: string; index: number; count: number } | undefined
  statement?: object
  received?: object
  asked?: object
  /** Earlier grants: authority and hash of the ask. */
  granted?: [Authority, string?][]
  narrowing?: boolean
}

function outside({ given = whole, granted = [], narrowing = true, ...over }: Situation = {}) {
  const rule = { id: 'r', order: 1, match: {}, narrowing } as Rule
  const view = {
    rules: new Map([['r', rule]]),
    agents: new Map([[agent, { labels: [], attestor: { kind: 'join_token' } }]]),
    toolServers: new Map(),
  }
  const trees = granted.map(([authority, hash = 'this'], n) => [
    n,
    { grant: { authority, statement: { request_hash: hash } } },
  ])
  const ledger = { registry: { view: () => view }, grants: { trees: new Map(trees as []) } }
  const times = { not_before: iso(0), not_after: iso(60_000) }
  const statement = {
    agent: `${agent}/one`,
    request_hash: 'this',
    authority: given,
    mode: 'window',
    rebind: 'none',
    ...times,
  }
  const received = { request: jws, request_id: over.request_id ?? task, authority: over.receivedAs ?? given, ...times }
  const asked = { authority: whole, mode: 'window', iat: Date.parse(iso(0)) / 1000, expires_in_seconds: 60 }
  return outsideAsk(
    { projection: { ledger } } as unknown as Parameters<typeof outsideAsk>[0],
    {
      received: { ...received, ...over.received, ...(over.item === undefined ? {} : { item: over.item }) } as never,
      asked: { ...asked, ...over.asked } as unknown as AccessRequest,
    },
    { ...statement, ...over.statement } as unknown as ApprovalStatement,
  )
}
const itemOf = (index: number) => ({ request_id: itemIdOf(jws, index), item: { task, index, count: 2 } })

it('requires that the statement says `shown` exactly if the agent signed arguments (V3)', () => {
  const one = { mode: 'per_action', action_digest: 'd' }
  const handed = { arguments: { salted_sha256: 'a' } }
  const free = authorityOf({}, tool('erp/read'))
  const of = (asked: object, received: object, statement: object) =>
    outside({
      given: free,
      asked: { authority: free, ...one, ...asked },
      statement: { ...one, ...statement },
      received,
    })
  const shown = { arguments: 'shown' as const }
  expect(of(handed, handed, shown)).toBeUndefined()
  expect(of(handed, handed, {})).toBe('access_request_conflict')
  expect(of({}, {}, shown)).toBe('access_request_conflict')
  expect(of(handed, {}, shown)).toBe('access_request_conflict')
  expect(of({}, handed, shown)).toBe('access_request_conflict')
  expect(of(handed, { arguments: { salted_sha256: 'b' } }, shown)).toBe('access_request_conflict')
})

it('lets through what was asked, and less', () => {
  expect(outside()).toBeUndefined()
  expect(outside({ given: part(0, 3), statement: { not_after: iso(1000) } })).toBeUndefined()
})

describe('the parts of one ask', () => {
  it('may share its budget out in any way (V3)', () => {
    expect(outside({ given: part(0, 4), ...itemOf(0) })).toBeUndefined()
    expect(outside({ given: part(1, 6), ...itemOf(1), granted: [[part(0, 4)]] })).toBeUndefined()
  })

  it('may not have any of it twice, ended or not (V3, V9)', () => {
    const twice: Situation = { given: part(1, 7), ...itemOf(1), granted: [[part(0, 4)]] }
    expect(outside(twice)).toBe('approval_not_narrower')
    expect(outside({ ...twice, granted: [[part(0, 4), 'another ask']] })).toBeUndefined()
    expect(outside({ given: whole, granted: [[whole]] })).toBe('approval_not_narrower')
  })

  it('are never two grants of one action (V10)', () => {
    const one = { mode: 'per_action', action_digest: 'd' }
    const free = authorityOf({}, tool('erp/read'))
    const of = { given: free, asked: { authority: free, ...one }, statement: one }
    expect(outside(of)).toBeUndefined()
    expect(outside({ ...of, granted: [[free]] })).toBe('approval_not_narrower')
  })

  it.each<[string, Situation]>([
    ['an id that does not follow from the ask', { request_id: `${task}x` }],
    ['the id of another part', { request_id: itemIdOf(jws, 1), item: { task, index: 0, count: 2 } }],
    ['the id of the whole', { request_id: task, item: { task, index: 0, count: 2 } }],
    ['the id of another ask', { ...itemOf(0), item: { task: requestIdOf('x'), index: 0, count: 2 } }],
    ['more parts than there are', { ...itemOf(2) }],
  ])('have ids of their own, and none has %s (V3)', (_, over) => {
    expect(outside(over)).toBe('access_request_unknown')
  })
})

describe('where the rule does not allow narrowing', () => {
  const strict = { narrowing: false }

  it('what was asked is granted as it was asked', () => {
    expect(outside(strict)).toBeUndefined()
    expect(outside({ ...strict, given: part(1, 5), ...itemOf(1) })).toBeUndefined()
  })

  it.each<[string, Situation]>([
    ['a smaller budget', { given: { ...whole, budget: { calls: 9 } } }],
    ['a permission less', { given: part(0, 10), receivedAs: whole }],
    ['a shorter time', { statement: { not_after: iso(59_000) } }],
    ['a part less than its own', { given: part(1, 4), receivedAs: part(1, 5), ...itemOf(1) }],
    [
      'words that the agent did not use',
      { given: authorityOf({ calls: 5 }, { ...tool('erp/read'), max_uses: 1 }), ...itemOf(0) },
    ],
  ])('%s is refused, even if it was signed (V3)', (_, over) => {
    expect(outside({ ...strict, ...over })).toBe('approval_rule_mismatch')
  })
})
