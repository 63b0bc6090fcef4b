import { expect, it } from 'vitest'
import type { EventRow, Grant, Link, ReadAgentAnswer, Touched } from '../types.ts'
import { amountOf, micros } from '../ui/amounts.ts'
import { bucketsOf } from './buckets.ts'
import { burnDown, unitsOf } from './burn-down.ts'
import { groupingOf, groupsOf, isFound } from './call-groups.ts'
import { argumentsText, barsOf, resultOf } from './calls.ts'
import { differencesOf } from './differences.ts'
import { code, jsonReport, markdownReport, type Reported } from './report.ts'
import { sinceStop, sinceText } from './since.ts'
import { spanOf } from './span.ts'
import { sentencesOf } from './summary.ts'
import { holderOf, placed } from './tree-layout.ts'

const at = (second: number) => new Date(Date.UTC(2026, 10, 30, 3, 0, second)).toISOString()

const call = (second: number, more: Partial<EventRow> = {}): EventRow => ({
  ...{ kind: 'decision', leaf_index: second, event_id: `evt_${second}`, type: 'decision.allowed' },
  ...{ time: at(second), subject: `dec_${second}`, decision_id: `dec_${second}`, agent: 'spiffe://a/agent/b/one' },
  ...{ action: 'tools/call', resource: 'invoices/pay', cost: { EUR: '2.50' } },
  outcome: { status: 'succeeded', at: at(second + 1) },
  ...more,
})
const denied = (second: number) => call(second, { type: 'decision.denied', reason: 'budget_exhausted', cost: {} })

const view = (name: string) => ({
  ...{ id: `spiffe://a/agent/${name}`, instance: `spiffe://a/agent/${name}/one`, name },
  ...{ owner: 'olivia', owner_name: 'Olivia', labels: [], attestor: 'registered_key' },
})
const grant = (more: Partial<Grant> = {}): Grant =>
  ({
    ...{ id: 'grt_1', task: 'pay', state: 'active', from: view('b'), chain: [], approved_by: ['olivia'] },
    ...{ created_at: at(0), not_after: at(1000), budget: { calls: 10, cost: { EUR: '20.00' } } },
    taken: { calls: 4, egress_bytes: 0, cost: { EUR: '10.00' }, unmeasured: 0 },
    ...more,
  }) as Grant

const touched = (more: Partial<Touched> = {}): Touched => ({
  ...{ agent: 'spiffe://a/agent/b', from: at(0), to: at(60), complete: true, more_things: 0 },
  ...{ allowed: 3, denied: 1, outcomes: { succeeded: 1, failed: 1 }, reasons: { budget_exhausted: 1 } },
  ...{ cost: { EUR: '7.5' }, hours: [] },
  things: [
    {
      ...{ action: 'tools/call', type: 'tool', resource: 'invoices/pay', allowed: 3, denied: 1, last: at(3) },
      ...{ outcomes: { succeeded: 1, failed: 1 }, reasons: { budget_exhausted: 1 }, cost: { EUR: '7.5' } },
    },
  ],
  ...more,
})

it('computes with amounts exactly', () => {
  expect([micros('0.1') + micros('0.2'), amountOf(micros('0.1') + micros('0.2'))]).toEqual([300_000n, '0.3'])
  expect(['2000.00', '0', '12', '-1.50', '0.000001'].map((text) => amountOf(micros(text)))).toEqual([
    ...['2000', '0', '12', '-1.5', '0.000001'],
  ])
})

it('counts calls back from what is left now, so that calls that are not listed change nothing', () => {
  const events = [denied(40), call(30), call(20, { outcome: { status: 'taken_back', at: at(21) } }), call(10), call(5)]
  const burned = burnDown(grant(), events, 'EUR', Date.parse(at(60)))
  expect(burned?.calls.map(({ took, left }) => [took, left])).toEqual([
    ['2.5', '15'],
    ['2.5', '12.5'],
    ['2.5', '10'],
  ])
  // Four calls took 10.00, and three are listed: before the first of them, 17.50 were left.
  expect(burned?.first).toEqual({ at: Date.parse(at(5)), took: '0', left: '17.5' })
  // 10.00 in a minute: the other 10.00 last one more.
  expect(burned?.usedUpAt).toBe(Date.parse(at(120)))
  expect(burnDown(grant(), events, 'calls', Date.parse(at(60)))?.calls.map(({ left }) => left)).toEqual(['8', '7', '6'])
  expect(burnDown(grant({ not_after: at(36_000) }), events, 'EUR', Date.parse(at(60)))?.usedUpAt).toBeUndefined()
  expect(burnDown(grant({ state: 'revoked' }), events, 'EUR', 0)?.usedUpAt).toBeUndefined()
  expect(burnDown(grant(), [], 'USD', 0)).toBeUndefined()
  expect(unitsOf(grant())).toEqual(['EUR', 'calls'])
})

const { outcome: _, ...withoutOutcome } = call(1)

it('places each call between the first and the last, wide enough to be seen', () => {
  expect(barsOf([call(10, { outcome: { status: 'failed', at: at(110) } }), denied(60), call(60)])).toEqual([
    { from: 0, to: 1 },
    { from: 0.5, to: 0.51 },
    { from: 0.5, to: 0.51 },
  ])
  const instant = { outcome: { status: 'succeeded', at: at(0) } }
  expect(barsOf([call(0, instant)])).toEqual([{ from: 0, to: 1 }])
  const [, last] = barsOf([call(0, instant), call(100, { outcome: { status: 'succeeded', at: at(90) } })])
  expect(last?.to).toBeCloseTo(1)
  expect([resultOf(call(1)), resultOf(denied(1)), resultOf(withoutOutcome)].map(([words]) => words)).toEqual([
    ...['Succeeded', 'Denied', 'No outcome yet'],
  ])
  expect(resultOf(call(1, { outcome: { status: 'constructor', at: at(2) } }))).toEqual(['constructor', 'plain'])
  expect(argumentsText({ '/invoice': 'INV-1', '/amount': 5 })).toBe('invoice: INV-1, amount: 5')
})

it('says in sentences what was touched', () => {
  expect(sentencesOf(touched())).toEqual([
    '3 calls were allowed, on 1 tool or resource: 1 succeeded, 1 failed.',
    '1 call has no outcome yet.',
    '7.5 EUR was spent.',
    '1 call was denied, most often for: budget exhausted.',
  ])
  const tried = { denied: 3, reasons: { budget_exhausted: 1, proof_nonce_required: 2 } }
  expect(sentencesOf(touched(tried))).toEqual(sentencesOf(touched()))
  const nothing = touched({ allowed: 0, denied: 0, outcomes: {}, reasons: {}, cost: {}, things: [] })
  expect(sentencesOf(nothing)).toEqual(['No call was allowed.', 'No money was spent.', 'Nothing was denied.'])
})

it('calls nothing none that was not all read', () => {
  const nothing = touched({ allowed: 0, denied: 0, outcomes: {}, reasons: {}, cost: {}, things: [], complete: false })
  const unread = sentencesOf(nothing)
  expect(unread).toEqual([
    'Whether a call was allowed is not known: not all was read.',
    'Whether money was spent is not known: not all was read.',
    'Whether a call was denied is not known: not all was read.',
    expect.stringMatching(/more than can be counted/),
  ])
  expect(sentencesOf(touched({ complete: false })).slice(0, 4)).toEqual([
    'At least 3 calls were allowed, on at least 1 tool or resource: 1 succeeded, 1 failed.',
    '1 call has no outcome yet.',
    'At least 7.5 EUR was spent.',
    'At least 1 call was denied, most often for: budget exhausted.',
  ])
  expect(sentencesOf(touched({ more_things: 5 }))[0]).toMatch(/^3 calls were allowed, on at least 1 tool/)
  const text = markdownReport({
    ...reported(),
    ...{ touched: nothing, calls: [], since: null, grantsCut: true, answersCut: true },
  })
  for (const part of [
    '## Tools and resources\n\nNot known: not all was read.',
    '(the newest 0)\n\nNot known: not all was read.',
    '| Since the stop | not known: evidence does not answer |',
    '## Grants (the newest 1)\n',
    '## Past answers (the newest 0)\n',
  ])
    expect(text).toContain(part)
  expect(text).not.toMatch(/None\.|no call was allowed|No call|Nothing was/)
})

it('places each holder below the one that passed the grant on', () => {
  const link = (name: string, children: Link[] = []) =>
    ({
      id: `dlg_${name}`,
      from: view(name),
      state: 'active',
      budget: {},
      taken: { calls: 1 },
      children,
    }) as unknown as Link
  const all = placed(holderOf(grant({ chain: [link('c', [link('d')]), link('e')] }), 'spiffe://a/agent/d'))
  expect(all.map(({ name, depth, row, above, isOwn }) => [name, depth, row, above, isOwn])).toEqual([
    ['b', 0, 0, undefined, false],
    ['c', 1, 1, 0, false],
    ['d', 2, 2, 1, true],
    ['e', 1, 3, 0, false],
  ])
})

it('tells of the times in the address, or of the day before the stop and since', () => {
  const link = spanOf({ from: at(0), to: at(60) }, null)
  expect([link.times(), link.isLive]).toEqual([{ from: at(0), to: at(60) }, false])
  for (const bad of [
    { from: at(60), to: at(0) },
    { from: 'yesterday', to: at(0) },
    { from: at(0) },
    { span: 'constructor' },
  ])
    expect([bad, spanOf(bad, null).name]).toEqual([bad, 'day'])
  const stop = { at: new Date(Date.now() - 3600_000).toISOString(), by: 'olivia', sequence: 7 }
  expect(Date.parse(stop.at) - Date.parse(spanOf({}, stop).times().from)).toBe(24 * 3600_000)
  expect(spanOf({ span: 'week' }, stop).name).toBe('week')
  expect(spanOf({}, { ...stop, at: '2020-01-01T00:00:00.000Z' }).name).toBe('day')
})

const hostile = '`|<img src=x>](javascript:x)\u202e\n# Not a heading'
const reported = (): Reported => ({
  made: { at: at(60), by: hostile, installation: 'bailiwick.local' },
  link: 'https://b.example/console/agents/x?from=1',
  agent: {
    ...{ id: 'spiffe://a/agent/b', may_stop: true, stop: { at: at(50), by: hostile, sequence: 3 } },
    agent: { id: 'spiffe://a/agent/b', name: hostile, owner: 'olivia', owner_name: null },
  } as unknown as ReadAgentAnswer,
  touched: touched({ things: [{ ...(touched().things[0] as Touched['things'][number]), resource: hostile }] }),
  calls: [call(1, { resource: hostile, arguments: { '/note': hostile } }), denied(2)],
  isCut: true,
  since: { allowed: 0, moreAllowed: false, denied: 2, moreDenied: false },
  grants: [grant({ task: hostile })],
  answers: [],
  ...{ grantsCut: false, answersCut: false },
  size: 99,
})

it('writes a report in which no text of others is markup, or is invisible', () => {
  const text = markdownReport(reported())
  const outside = text.replace(/`[^`\n]*`/g, '·')
  for (const bad of ['<img', 'javascript:', '\u202e', '\n# Not', '[U+'])
    expect([bad, outside.includes(bad)]).toEqual([bad, false])
  expect(text).not.toContain('\u202e')
  expect(text).toContain('| Stopped | 2026-11-30T03:00:50.000Z by')
  expect(text).toContain('| Since the stop | no call was allowed, 2 denied |')
  expect(text).toContain('- 3 calls were allowed, on 1 tool or resource: 1 succeeded, 1 failed.')
  expect(text).toContain('## Calls, newest first (the newest 2)')
  expect(text).toContain('Denied (budget_exhausted) | 2 | `dec_2` |')
  for (const line of text.split('\n').filter((each) => each.startsWith('|')))
    expect(line.replace(/`[^`]*`/g, '').split('|').length).toBeGreaterThan(3)
  expect(code('')).toBe('(empty)')
  // Some viewers take \\\\ before | for one sign, and end the cell.
  expect(code('x\\| Denied \\| 7')).not.toContain('|')
  expect(JSON.parse(jsonReport(reported()))).toMatchObject({
    v: 1,
    kind: 'bailiwick-agent-report',
    size: 99,
    isCut: true,
  })
})

it('counts what came after the stop', () => {
  const back = call(8, { outcome: { status: 'taken_back', at: at(9) } })
  const first = { ...denied(10), reason: 'proof_nonce_required' }
  const page = (events: EventRow[], next?: string) => ({ events, ...(next === undefined ? {} : { next }) })
  const allowed = page([back, call(7), call(6, { void: true })], '1_1')
  const since = sinceStop(allowed, page([first, denied(9)], '1_1'))
  expect(since).toEqual({ allowed: 1, moreAllowed: true, denied: 1, moreDenied: true })
  expect(sinceText(since)).toBe('at least 1 allowed, at least 1 denied')
  // More denials than one answer has hide no ALLOW.
  expect(sinceText(sinceStop(page([]), page([denied(9)], '1_1')))).toBe('no call was allowed, at least 1 denied')
  const unknown = 'whether a call was allowed is not known: not all was read, 1 denied'
  expect(sinceText(sinceStop(page([], '1_1'), page([denied(9)])))).toBe(unknown)
  // A newer version wrote an ALLOW, and this one cannot read it.
  expect(sinceText(sinceStop({ events: [], unread: [7] }, page([denied(9)])))).toBe(unknown)
  expect(sinceText(null)).toBe('not known: evidence does not answer')
})

it('counts decisions over time in parts that can be pressed, first tries left out', () => {
  const hour = (n: number, more: Partial<Touched['hours'][number]> = {}) => ({
    ...{ at: new Date(Date.UTC(2026, 10, 1, n)).toISOString(), allowed: 2, denied: 1, reasons: {} },
    ...more,
  })
  const [from, to] = [hour(0).at, new Date(Date.UTC(2026, 10, 31)).toISOString()]
  const first = hour(5, { allowed: 0, denied: 1, reasons: { proof_nonce_required: 1 } })
  const day = bucketsOf({ from, to: hour(23).at, hours: [hour(3), first, hour(22)] })
  expect(day.map(({ allowed, denied }) => [allowed, denied])).toEqual([
    [2, 1],
    [2, 1],
  ])
  expect(day[1]).toMatchObject({ from: Date.parse(hour(22).at), to: Date.parse(hour(23).at) })
  const month = bucketsOf({ from, to, hours: Array.from({ length: 30 * 24 }, (_, n) => hour(n)) })
  expect(month.length).toBeLessThanOrEqual(31)
  expect(month.reduce((sum, { allowed }) => sum + allowed, 0)).toBe(2 * 30 * 24)
})

it('groups calls, finds them by every word, and says what sets denied and failed ones apart', () => {
  const pay = (n: number, more: Partial<EventRow> = {}) =>
    call(n, { task: 'pay', arguments: { '/amount': 5 }, ...more })
  const refused = (n: number) => ({ ...denied(n), task: 'pay', resource: 'invoices/delete', arguments: {} })
  const calls = [pay(1), pay(2), pay(3, { agent: 'spiffe://a/agent/c/one' }), refused(4), refused(5)]
  expect(groupsOf(calls, 'tool').map(({ name, calls, denied }) => [name, calls.length, denied])).toEqual([
    ['invoices/pay', 3, 0],
    ['invoices/delete', 2, 2],
  ])
  expect(groupsOf(calls, 'agent').map(({ name }) => name)).toEqual(['b/one', 'c/one'])
  expect(groupsOf(calls, 'result').map(({ name }) => name)).toEqual(['Succeeded', 'Denied'])
  expect(calls.filter((each) => isFound(each, 'PAY amount: 5 c/one')).length).toBe(1)
  expect([groupingOf('tool'), groupingOf('constructor'), groupingOf(undefined)]).toEqual(['tool', '', ''])
  const apart = differencesOf(calls)
  expect(apart).toMatchObject({ bad: 2, good: 3 })
  expect(
    apart?.all.slice(0, 2).map(({ value, inBad, inGood }) => [value, Math.round(inBad), Math.round(inGood)]),
  ).toEqual([
    ['invoices/delete', 1, 0],
    ['invoices/pay', 0, 1],
  ])
  // All calls have the same task, so the task sets none of them apart.
  expect(apart?.all.map(({ name }) => name)).not.toContain('Task')
  expect(differencesOf(calls.slice(0, 4))).toBeUndefined()
})
