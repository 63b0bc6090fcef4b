import { expect, it } from 'vitest'
import { compiledCases, seed, timeout } from './cases.ts'
import { runCases } from './compiled/run-cases.ts'

it('evaluates compiled policies as Cedar does, with the same reasons and errors, or leaves the answer to Cedar (V13)', {
  timeout,
}, () => {
  const { cases, seen, fault } = runCases(seed, compiledCases)
  if (fault !== undefined) expect.unreachable(fault)
  console.log(
    `reference: ${cases} requests to compiled policies and to Cedar, no difference; seed ${seed}; ${JSON.stringify(seen)}`,
  )
  for (const kind of ['allow', 'deny', 'erred'] as const) expect(seen[kind]).toBeGreaterThan(cases / 20)
  // Otherwise the comparison would be about few cases.
  expect(seen['left to Cedar']).toBeLessThan(cases / 20)
})
