import { expect, it } from 'vitest'
import { policyChanges } from './policy-changes.ts'

it('takes time in proportion to the text, also of text that no parser lets through (V18)', () => {
  for (const [part, said] of [
    ['@id("a")permit;', 30_000],
    ['\\"', 0],
    ['"', 0],
    ['/', 0],
  ] as const) {
    const text = part.repeat(30_000)
    const began = performance.now()
    expect(policyChanges({}, { 'a.cedar': text }).said).toHaveLength(said)
    expect([part, performance.now() - began]).toEqual([part, expect.toSatisfy((ms) => ms < 2000)])
  }
})

it('names each policy of one `@id` by another name', () => {
  const text = '@id("a") permit (principal, action, resource); @id("a") forbid (principal, action, resource);'
  expect(policyChanges({}, { 'a.cedar': text }).said).toEqual([
    'adds the permit "a"',
    'adds the forbid "a.cedar, policy 2" (2)',
  ])
})
