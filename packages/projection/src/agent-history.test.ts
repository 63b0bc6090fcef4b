import fc from 'fast-check'
import { expect, it } from 'vitest'
import { AgentHistory } from './agent-history.ts'
import type { Touched } from './touched.ts'

const minute = 60_000
const window = 8 * 60 * minute
const start = 1_790_000_000_000

const act = (labels: readonly string[], at: number, euros = '0', agents = ['agent']) => ({
  agents,
  owners: agents.map((agent) => `owner of ${agent}`),
  labels,
  reserved: { calls: 1, egress_bytes: 0, cost: euros === '0' ? {} : { EUR: euros } },
  at,
})
const touch = (history: AgentHistory, labels: readonly string[], at: number) => history.add(act(labels, at))
const said = ({ calls, labels }: Touched) => ({ calls, labels: new Set(labels.keys()) })

it('forgets a touch up to a minute late and never early, in any order of touches and questions', () => {
  const labels = fc.uniqueArray(fc.constantFrom('reads_private', 'reads_untrusted', 'writes', 'external_send'))
  const step = fc.record({ at: fc.integer({ min: 0, max: 20 * 60 * minute }), labels })
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 40 }),
      fc.array(fc.nat(60 * minute), { maxLength: 5 }),
      (touches, later) => {
        const history = new AgentHistory()
        let newest = start
        for (const [n, { at: after, labels }] of touches.entries()) {
          const at = start + after
          newest = Math.max(newest, at)
          history.add(act(labels, at))
          const now = newest + (later[n % (later.length || 1)] ?? 0)
          const { calls, labels: told } = history.of('agent', now)
          const past = touches.slice(0, n + 1).map((t) => ({ ...t, at: start + t.at }))
          const within = (from: number) => past.filter((t) => t.at >= from)
          const must = within(now - window)
          const may = within(now - window - minute)
          expect(calls).toBeGreaterThanOrEqual(must.length)
          expect(calls).toBeLessThanOrEqual(may.length)
          for (const { labels } of must) for (const label of labels) expect(told.has(label)).toBe(true)
          for (const label of told.keys()) expect(may.flatMap((t) => t.labels)).toContain(label)
        }
      },
    ),
  )
})

it('keeps what is just inside the window when newer touches arrive', () => {
  const history = new AgentHistory()
  touch(history, ['reads_private'], start)
  expect(history.of('agent', start).calls).toBe(1)
  touch(history, ['writes'], start + window)
  expect(said(history.of('agent', start + window))).toEqual({ calls: 2, labels: new Set(['reads_private', 'writes']) })
})

it('holds no more than its window of an agent that never rests', () => {
  const history = new AgentHistory()
  touch(history, ['reads_private'], start)
  touch(history, ['writes'], start + window + 2 * minute)
  expect(said(history.of('agent', start))).toEqual({ calls: 1, labels: new Set(['writes']) })
})

it('keeps agents apart, and knows nothing of who did nothing', () => {
  const history = new AgentHistory()
  history.add(act(['writes'], start, '0', ['one']))
  expect(said(history.of('two', start))).toEqual({ calls: 0, labels: new Set() })
})

it('forgets an agent only when nothing of it counts any more', () => {
  const history = new AgentHistory()
  touch(history, ['writes'], start)
  history.forget(start + window)
  expect(said(history.of('agent', start + window))).toEqual({ calls: 1, labels: new Set(['writes']) })
  history.forget(start + window + 2 * minute)
  expect(said(history.of('agent', start))).toEqual({ calls: 0, labels: new Set() })
})

it('answers as fast for an agent that did much as for one that did little (V18)', () => {
  const history = new AgentHistory()
  for (let n = 0; n < 200_000; n++) history.add(act(['writes'], start + n, '0', ['busy']))
  const before = performance.now()
  for (let n = 0; n < 10_000; n++) history.of('busy', start + 200_000 + n)
  expect(performance.now() - before).toBeLessThan(1000) // walking the whole history each time would take minutes
  expect(history.of('busy', start + 300_000).calls).toBe(200_000)
})

it('counts and adds up by label, and says when last, over minutes, agents and what is on its way', () => {
  const history = new AgentHistory()
  history.add(act(['writes'], start, '1.25', ['parent', 'child']))
  history.add(act(['writes', 'reads_private'], start + 90_000, '2', ['parent']))
  const label = (agent: string, name: string) => history.of(agent, start + 91_000).labels.get(name)
  expect(label('parent', 'writes')).toEqual({ count: 2, spent: new Map([['EUR', 3_250_000n]]), lastAt: start + 90_000 })
  expect(label('child', 'writes')).toEqual({ count: 1, spent: new Map([['EUR', 1_250_000n]]), lastAt: start })
  expect(label('child', 'reads_private')).toBeUndefined()
  const ahead = [act(['external_send'], start + 91_000, '4', ['parent']), act(['writes'], start, '9', ['child'])]
  const more = history.of('parent', start + 91_000, ahead)
  expect([more.calls, more.spent.get('EUR'), more.labels.get('writes')?.count]).toEqual([3, 7_250_000n, 2])
  expect(said(history.of('parent', start + 91_000))).toEqual({ calls: 2, labels: new Set(['writes', 'reads_private']) })
})

it('of owners, sums up what all their agents did, one call of several agents once', () => {
  const history = new AgentHistory('owners')
  const [one, both] = [act(['reads_private'], start), act(['reads_untrusted'], start, '2', ['a', 'b'])]
  one.owners = ['olga']
  both.owners = ['olga', 'otto']
  for (const each of [one, both]) history.add(each)
  expect(said(history.of('olga', start))).toEqual({ calls: 2, labels: new Set(['reads_private', 'reads_untrusted']) })
  expect(said(history.of('otto', start))).toEqual({ calls: 1, labels: new Set(['reads_untrusted']) })
  expect(said(history.of('a', start))).toEqual({ calls: 0, labels: new Set() })
  const ahead = [{ ...act(['writes'], start), owners: ['otto'] }]
  expect(said(history.of('otto', start, ahead))).toEqual({ calls: 2, labels: new Set(['reads_untrusted', 'writes']) })
  history.giveBack(both, both.reserved)
  expect(history.of('olga', start)).toMatchObject({ calls: 1, spent: new Map([['EUR', 0n]]) })
  history.forget(start + 2 * window)
  expect(history.of('olga', start).calls).toBe(0)
})

it('takes back what was given back, of its own minute, and never the taint', () => {
  const history = new AgentHistory()
  const [first, second] = [act(['writes'], start, '1'), act(['writes'], start + 5 * minute, '2')]
  for (const each of [first, second]) history.add(each)
  expect(history.of('agent', start + 6 * minute).calls).toBe(2)
  history.giveBack(first, first.reserved)
  expect(history.of('agent', start + 6 * minute)).toMatchObject({ calls: 1, spent: new Map([['EUR', 2_000_000n]]) })
  history.giveBack(second, second.reserved)
  const empty = { count: 0, spent: new Map([['EUR', 0n]]), lastAt: start + 5 * minute }
  for (const now of [start + 6 * minute, start + 7 * minute])
    expect(history.of('agent', now)).toMatchObject({ calls: 0, labels: new Map([['writes', empty]]) })
})

it('keeps what it touched first behind 10,000 filler calls, and grows by minutes alone (V18)', () => {
  const history = new AgentHistory()
  touch(history, ['reads_private'], start)
  for (let n = 0; n < 10_000; n++) touch(history, [`filler_${n % 7}`], start + n * 1000)
  history.of('agent', start - minute) // this recomputes the sum from the buckets that are kept
  const { calls, labels } = history.of('agent', start + 10_000 * 1000)
  expect([calls, labels.get('reads_private')?.count, labels.size]).toEqual([10_001, 1, 8])
})
