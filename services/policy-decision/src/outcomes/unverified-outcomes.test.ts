import { generateKey } from '@bailiwick/credentials'
import { metrics } from '@bailiwick/host'
import { expect, it } from 'vitest'
import { UnverifiedOutcomes } from './unverified-outcomes.ts'

const aPoint = (id: string) => ({ id, outcome_jwk: generateKey('outcome').publicJwk })

it('counts each outcome that does not verify, and logs the first of each point and outcome key', async () => {
  const said: object[] = []
  const logger = { warn: (fields: object) => void said.push(fields) }
  const all = metrics({ service: 'policy-decision', processMetrics: false })
  const unverified = new UnverifiedOutcomes(all, logger as never)
  const [a, b] = [aPoint('a'), aPoint('b')]
  for (const point of [a, a, b, a]) unverified.add(point, 'key_unknown')
  unverified.add(aPoint('a'), 'token_malformed')
  expect(said).toEqual([
    { enforcement_point: 'a', code: 'key_unknown' },
    { enforcement_point: 'b', code: 'key_unknown' },
    { enforcement_point: 'a', code: 'token_malformed' },
  ])
  expect(await all.text()).toMatch(/outcomes_unverified_total\{.*enforcement_point="a".*\} 4/)
})
