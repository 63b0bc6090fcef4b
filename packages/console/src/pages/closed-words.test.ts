import { expect, it } from 'vitest'
import { closedWords } from './closed-words.ts'

const rule = { quorum: 2 }
it.each([
  ['denied', 'olga', [], 'Denied by olga. It can no longer be answered.'],
  ['cancelled', 'spiffe://a/agent/b/one', [], 'Taken back by the agent. It can no longer be answered.'],
  ['expired', null, [], 'It expired unanswered, and can no longer be answered.'],
  ['expired', null, ['olga'], 'It expired with 1 of 2 signatures (olga), and can no longer be answered.'],
] as const)('says how a request that is %s by %s ended', (state, closed_by, signed_by, words) => {
  expect(closedWords({ state, closed_by, signed_by: [...signed_by], rule })).toBe(words)
})
