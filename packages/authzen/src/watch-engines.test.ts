import { logger, metrics } from '@bailiwick/host'
import type { PolicyAnswer } from '@bailiwick/policy'
import { expect, it } from 'vitest'
import { watchEngines } from './watch-engines.ts'

const allow: PolicyAnswer = { outcome: 'allow', policies: ['p'] }

function watching() {
  const lines: string[] = []
  const later: (() => void)[] = []
  const meter = metrics({ service: 'test', processMetrics: false })
  const watch = watchEngines({
    metrics: meter,
    logger: logger({ service: 'test', level: 'info', destination: { write: (line: string) => void lines.push(line) } }),
    compareOneIn: 1,
    after: (_, run) => later.push(run),
  })
  const counted = async (name: string) =>
    (await meter.text()).split('\n').filter((line) => line.startsWith(`bailiwick_${name}{`))
  return { watch, later, lines, counted }
}

it('counts which engine answers, and why Cedar does', async () => {
  const { watch, counted } = watching()
  watch.told.answered('compiled', '')
  watch.told.answered('cedar', 'policy')
  expect(await counted('policy_answers_total')).toEqual([
    'bailiwick_policy_answers_total{engine="compiled",why="",service="test"} 1',
    'bailiwick_policy_answers_total{engine="cedar",why="policy",service="test"} 1',
  ])
  expect(await counted('policy_comparisons_total')).toEqual([
    'bailiwick_policy_comparisons_total{result="different",service="test"} 0',
  ])
})

it('raises the alarm when the engines differ, without what the request says (V17)', async () => {
  const { watch, later, lines, counted } = watching()
  watch.decided('set', allow, () => allow)
  watch.decided('set', allow, () => ({ outcome: 'invalid', why: 'the secret of the request' }))
  expect(lines).toEqual([])
  for (const run of later) run()
  expect(await counted('policy_comparisons_total')).toEqual([
    'bailiwick_policy_comparisons_total{result="different",service="test"} 1',
    'bailiwick_policy_comparisons_total{result="same",service="test"} 1',
  ])
  expect(lines).toHaveLength(1)
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({
    policy_set: 'set',
    compiled: allow,
    cedar: { outcome: 'invalid', policies: [] },
  })
  expect(lines.join()).not.toContain('secret')
})

it('keeps few requests for later, and the newest are not compared', () => {
  const { watch, later } = watching()
  for (let n = 0; n < 100; n++) watch.decided('set', allow, () => allow)
  expect(later).toHaveLength(64)
  later.shift()?.()
  watch.decided('set', allow, () => allow)
  expect(later).toHaveLength(64)
})
