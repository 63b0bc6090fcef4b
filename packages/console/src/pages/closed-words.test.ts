import { expect, it } from 'vitest'
import { answeredWords, closedWords } from './closed-words.ts'

const rule = { quorum: 2 }
it.each([
  ['denied', 'olga', [], 'Denied by olga. It can no longer be answered.'],
  ['cancelled', 'spiffe://a/agent/b/one', [], 'Taken back by the agent. It can no longer be answered.'],
  ['expired', null, [], 'It expired unanswered, and can no longer be answered.'],
  ['expired', null, ['olga'], 'It expired with 1 of 2 signatures (olga), and can no longer be answered.'],
] as const)('says how a request that is %s by %s ended', (state, closed_by, signed_by, words) => {
  expect(closedWords({ state, closed_by, signed_by: [...signed_by], rule })).toBe(words)
})

it('names everyone who signed, where an approval made a grant', () => {
  const closed = { kind: 'access', state: 'approved', closed_by: null, signed_by: [], rule }
  const of = (answer: object | null) => answeredWords({ ...closed, answer } as never)
  expect(of({ grant_id: 'grt_1', by: ['olga', 'bob'] })).toBe('Approved by olga, bob. It can no longer be answered.')
  expect(of(null)).toBe('Approved. It can no longer be answered.')
})
