import fc from 'fast-check'
import { expect, it } from 'vitest'
import { AgentHistory } from './agent-history.ts'

const minute = 60_000
const window = 8 * 60 * minute
const start = 1_790_000_000_000

it('forgets a touch up to a minute late and never early, in whatever order touches arrive and time is asked', () => {
  const labels = fc.uniqueArray(fc.constantFrom('reads_private', 'reads_untrusted', 'writes', 'external_send'))
  const step = fc.record({ at: fc.integer({ min: 0, max: 20 * 60 * minute }), labels })
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 40 }),
      fc.array(fc.nat(60 * minute), { maxLength: 5 }),
      (touches, later) => {
        const history = new AgentHistory()
        let newest = start
        for (const [n, touch] of touches.entries()) {
          const at = start + touch.at
          newest = Math.max(newest, at)
          history.touch('agent', touch.labels, at)
          const now = newest + (later[n % (later.length || 1)] ?? 0)
          const said = history.of('agent', now)
          const past = touches.slice(0, n + 1).map((t) => ({ ...t, at: start + t.at }))
          const within = (from: number) => past.filter((t) => t.at >= from)
          const must = within(now - window)
          const may = within(now - window - minute)
          expect(said.calls).toBeGreaterThanOrEqual(must.length)
          expect(said.calls).toBeLessThanOrEqual(may.length)
          for (const { labels } of must) for (const label of labels) expect(said.labels).toContain(label)
          for (const label of said.labels) expect(may.flatMap((t) => t.labels)).toContain(label)
        }
      },
    ),
  )
})

it('keeps what is just inside the window when newer touches arrive', () => {
  const history = new AgentHistory()
  history.touch('agent', ['reads_private'], start)
  expect(history.of('agent', start).calls).toBe(1)
  history.touch('agent', ['writes'], start + window)
  expect(history.of('agent', start + window)).toEqual({ calls: 2, labels: new Set(['reads_private', 'writes']) })
})

it('holds no more than its window of an agent that never rests', () => {
  const history = new AgentHistory()
  history.touch('agent', ['reads_private'], start)
  history.touch('agent', ['writes'], start + window + 2 * minute)
  expect(history.of('agent', start)).toEqual({ calls: 1, labels: new Set(['writes']) })
})

it('keeps agents apart, and knows nothing of who did nothing', () => {
  const history = new AgentHistory()
  history.touch('one', ['writes'], start)
  expect(history.of('two', start)).toEqual({ calls: 0, labels: new Set() })
})

it('forgets an agent only when nothing of it counts any more', () => {
  const history = new AgentHistory()
  history.touch('agent', ['writes'], start)
  history.forget(start + window)
  expect(history.of('agent', start + window)).toEqual({ calls: 1, labels: new Set(['writes']) })
  history.forget(start + window + 2 * minute)
  expect(history.of('agent', start)).toEqual({ calls: 0, labels: new Set() })
})

it('answers as fast for an agent that did much as for one that did little (V18)', () => {
  const history = new AgentHistory()
  for (let n = 0; n < 200_000; n++) history.touch('busy', ['writes'], start + n)
  const before = performance.now()
  for (let n = 0; n < 10_000; n++) history.of('busy', start + 200_000 + n)
  expect(performance.now() - before).toBeLessThan(1000) // a walk over all of it each time: minutes
  expect(history.of('busy', start + 300_000).calls).toBe(200_000)
})
