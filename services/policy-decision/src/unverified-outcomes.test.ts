import { metrics } from '@bailiwick/service-kit'
import { expect, it } from 'vitest'
import { UnverifiedOutcomes } from './unverified-outcomes.ts'

it('counts each outcome that does not verify, and logs a point once until one of its outcomes does', async () => {
  const said: object[] = []
  const logger = { warn: (fields: object) => void said.push(fields) }
  const all = metrics({ service: 'policy-decision', processMetrics: false })
  const unverified = new UnverifiedOutcomes(all, logger as never)
  for (const point of ['a', 'a', 'b']) unverified.begin(point, 'key_unknown')
  unverified.end('a')
  unverified.begin('a', 'token_malformed')
  expect(said).toEqual([
    { enforcement_point: 'a', code: 'key_unknown' },
    { enforcement_point: 'b', code: 'key_unknown' },
    { enforcement_point: 'a', code: 'token_malformed' },
  ])
  expect(await all.text()).toMatch(/outcomes_unverified_total\{.*enforcement_point="a".*\} 3/)
})
