import type { ServiceKey } from '@bailiwick/contracts'
import type { CertifiedKey } from '@bailiwick/credentials'
import { expect, it } from 'vitest'
import { publishedKeys } from './published-keys.ts'

const hourMs = 3_600_000
const now = 100 * hourMs

type Purpose = CertifiedKey['purpose']
type Told = [
  kid: string,
  state: ServiceKey['state'],
  changedAt: number,
  more?: { purpose?: Purpose; notAfter?: number },
]

function published(...keys: Told[]): string[] {
  const registry = {
    record: (_: string, id: string) => {
      const [, state, changedAt] = keys.find(([kid]) => kid === id) ?? []
      return id === 'genesis' ? undefined : { value: { state }, changedAt }
    },
  }
  const ring = {
    keys: () =>
      keys.map(([kid, , , { purpose = 'permit', notAfter = now + 1 } = {}]) => ({ kid, purpose, notAfter })) as never,
  }
  return publishedKeys({ registry } as never, ring, new Set<Purpose>(['permit']), now).map(({ kid }) => kid)
}

it('publishes what signs or will, and what was tainted while something that it signed may live', () => {
  const all = published(
    ['genesis', undefined, 0],
    ['first', undefined, 0],
    ['waits', 'prepared', 0],
    ['signs', 'active', 0],
    ['tainted a while ago', 'tainted', now - hourMs + 1],
    ['tainted an hour ago', 'tainted', now - hourMs],
    ['over', 'active', 0, { notAfter: now }],
    ['another’s', 'active', 0, { purpose: 'credential' }],
  )
  expect(all).toEqual(['genesis', 'first', 'waits', 'signs', 'tainted a while ago'])
})
