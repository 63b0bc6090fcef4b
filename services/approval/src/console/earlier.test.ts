import { expect, it } from 'vitest'
import { authority } from '../approval.fixture.ts'
import type { AccessAsk } from '../requests.ts'
import { differenceOf } from './earlier.ts'

const until = (minutes: number) => ({
  not_before: '2026-11-27T10:00:00.000Z',
  not_after: new Date(Date.parse('2026-11-27T10:00:00.000Z') + minutes * 60_000).toISOString(),
})
const anAsk = (over: Partial<AccessAsk> = {}) =>
  ({ authority: { ...authority, task: 'again' }, mode: 'window', rebind: 'none', ...until(60), ...over }) as AccessAsk

it('is the same ask when it comes again, a moment longer or shorter', () => {
  const same = { relation: 'same', added: [], removed: [] }
  expect(differenceOf(anAsk(), anAsk())).toEqual(same)
  expect(differenceOf(anAsk({ not_after: '2026-11-27T11:00:02.000Z' }), anAsk())).toEqual(same)
})

it.each<[string, Partial<AccessAsk>, Partial<AccessAsk>, string, string[], string[]]>([
  ['for longer', until(480), {}, 'wider', ['Within 480 min'], ['Within 60 min']],
  ['for less long', until(10), {}, 'narrower', ['Within 10 min'], ['Within 60 min']],
  ['for a time, once one action', {}, { mode: 'per_action' }, 'different', ['For a time'], ['For one exact action']],
  [
    'for another exact action',
    { mode: 'per_action', action_digest: 'B' },
    { mode: 'per_action', action_digest: 'A' },
    'different',
    ['Exactly the action with the digest B'],
    ['Exactly the action with the digest A'],
  ],
  [
    'and survives a restart',
    { rebind: 'attested' },
    {},
    'wider',
    ['May be bound to a new, newly attested key of the same agent'],
    [],
  ],
  [
    'for less, and for longer',
    { ...until(480), authority: { ...authority, task: 'again', budget: { calls: 1 } } },
    {},
    'different',
    ['At most 1 call in all', 'Within 480 min'],
    ['At most 20 calls in all', 'Within 60 min'],
  ],
])('differs from an earlier ask when the same is asked %s (V3)', (_, now, then, relation, added, removed) => {
  expect(differenceOf(anAsk(now), anAsk(then))).toEqual({ relation, added, removed })
})
