import { logger, metrics } from '@bailiwick/host'
import { seededRandom } from '@bailiwick/kit'
import type { PolicyAnswer } from '@bailiwick/policy'
import { expect, it } from 'vitest'
import { watchEngines } from './watch-engines.ts'

const allow: PolicyAnswer = { outcome: 'allow', policies: ['p'] }

function watching(compareOneIn = 1) {
  const lines: string[] = []
  const later: (() => void)[] = []
  const differences: unknown[] = []
  const meter = metrics({ service: 'test', processMetrics: false })
  const watch = watchEngines({
    metrics: meter,
    logger: logger({ service: 'test', level: 'info', destination: { write: (line: string) => void lines.push(line) } }),
    compareOneIn,
    random: seededRandom('watch-engines'),
    after: (_, run) => later.push(run),
    onDifferent: (difference) => differences.push(difference),
  })
  const counted = async (name: string) =>
    (await meter.text()).split('\n').filter((line) => line.startsWith(`bailiwick_${name}{`))
  return { watch, later, lines, differences, counted }
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
  const { watch, later, lines, differences, counted } = watching()
  watch.decided('set', allow, () => allow)
  watch.decided('set', allow, () => ({ outcome: 'invalid', why: 'the secret of the request' }))
  expect(lines).toEqual([])
  for (const run of later) run()
  expect(await counted('policy_comparisons_total')).toEqual([
    'bailiwick_policy_comparisons_total{result="different",service="test"} 1',
    'bailiwick_policy_comparisons_total{result="same",service="test"} 1',
  ])
  expect(differences).toMatchObject([{ policySet: 'set', compiled: allow, cedar: { outcome: 'invalid' } }])
  expect(lines).toHaveLength(1)
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({
    policy_set: 'set',
    compiled: allow,
    cedar: { outcome: 'invalid', policies: [] },
  })
  expect(lines.join()).not.toContain('secret')
})

it('chooses by chance which decisions it compares, so that no caller can choose', () => {
  const { watch, later } = watching(10)
  const compared = Array.from({ length: 1000 }, (_, n) => {
    watch.decided('set', allow, () => allow)
    const run = later.pop()
    run?.()
    return run === undefined ? [] : [n % 10]
  }).flat()
  expect(compared.length).toBeGreaterThan(50)
  expect(compared.length).toBeLessThan(200)
  expect(new Set(compared).size).toBe(10)
})

it('keeps few requests for later; the newest are not compared, and are counted', async () => {
  const { watch, later, counted } = watching()
  for (let n = 0; n < 100; n++) watch.decided('set', allow, () => allow)
  expect(later).toHaveLength(64)
  expect(await counted('policy_comparisons_total')).toContain(
    'bailiwick_policy_comparisons_total{result="skipped",service="test"} 36',
  )
  later.shift()?.()
  watch.decided('set', allow, () => allow)
  expect(later).toHaveLength(64)
})
