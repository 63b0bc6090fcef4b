import type { ServiceKey } from '@bailiwick/contracts'
import { expect, it } from 'vitest'
import { stepsDue } from './key-schedule.ts'

const dayMs = 86_400_000
const start = Date.parse('2026-11-01T00:00:00.000Z')

interface Told {
  id: string
  state: NonNullable<ServiceKey['state']>
  /** The day on which the state began, and the day until which the certificate is valid. */
  since: number
  until?: number
}

/** The steps due at the beginning of a day. The first of the active keys is the one that signs. */
function due(day: number, keys: readonly Told[], days = 30) {
  const all = keys.map(({ id, state, until = 365 }) => ({
    ...{ id, state, purpose: 'credential', not_before: new Date(start - dayMs).toISOString() },
    not_after: new Date(start + until * dayMs).toISOString(),
  })) as ServiceKey[]
  const registry = {
    serviceKeys: all,
    serviceKeyOrder: { signers: () => all.filter(({ state }) => state === 'active') },
    record: (_: string, id: string) => ({ changedAt: start + (keys.find((key) => key.id === id)?.since ?? 0) * dayMs }),
  }
  return stepsDue(registry as never, start + day * dayMs, days * dayMs).map(({ kid, to }) => `${kid} ${to}`)
}

const active = { id: 'old', state: 'active', since: 0 } as const
const next = { id: 'next', state: 'prepared', since: 5 } as const

it.each<[string, number, Told[], string[]]>([
  ['nothing before its time', 29, [active, next], []],
  ['the one that was prepared first, in time', 30, [active, { ...next, id: 'later', since: 6 }, next], ['next active']],
  ['nothing where nothing was prepared', 90, [active], []],
  ['nothing that is not a day old', 30, [active, { ...next, since: 29.5 }], []],
  ['nothing that is no longer certified', 30, [active, { ...next, until: 20 }], []],
  [
    'the next one at once when the certificate of the one that signs is over',
    12,
    [{ ...active, until: 11 }, next],
    ['next active'],
  ],
  ['the next one at once when none signs', 12, [next], ['next active']],
  ['no taint while the one before may still help out', 31, [{ ...active, id: 'new', since: 30.5 }, active], []],
  ['a taint of the one before a day later', 32, [{ ...active, id: 'new', since: 30.5 }, active], ['old tainted']],
])('does %s', (_, day, keys, steps) => {
  expect(due(day, keys)).toEqual(steps)
})

it('does nothing by itself where it is switched off', () => {
  expect(due(90, [active, next], 0)).toEqual([])
})
