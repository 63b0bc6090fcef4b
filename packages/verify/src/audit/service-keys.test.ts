import type { ServiceKey } from '@bailiwick/contracts'
import { generateKey, type Trust } from '@bailiwick/credentials'
import { certifiedServiceKey } from '@bailiwick/installation'
import { expect, it } from 'vitest'
import type { Leaf } from './leaf.ts'
import { ServiceKeys } from './service-keys.ts'

const installation = 'ins_0123456789abcdef0123'
const root = generateKey('root')
const trust = { installation, root: { jwk: root.publicJwk } } as unknown as Trust
const noon = Date.parse('2026-11-26T12:00:00.000Z')
const [first, second] = [generateKey('credential'), generateKey('credential')].map((key) =>
  certifiedServiceKey(key, { installation, now: noon - 60_000, root }),
) as [ServiceKey, ServiceKey]

const said = (type: string, value: ServiceKey, state: ServiceKey['state'], at: number) =>
  ({
    topic: 'registry.v1',
    at: noon + at,
    event: {
      type: `service-key.${type}`,
      data: { entity: { type: 'service-key', id: value.id }, value: { ...value, state } },
    },
  }) as unknown as Leaf
const maySign = (key: ServiceKey, at: number, ...more: Leaf[]) =>
  new ServiceKeys(trust, [
    said('registered', first, undefined, 0),
    said('registered', second, 'prepared', 1),
    ...more,
  ]).maySign(key.id, noon + at)

it('lets a key sign until 2 s after it was tainted, or after another key became active (V12)', () => {
  const activated = said('changed', second, 'active', 10_000)
  const tainted = said('changed', first, 'tainted', 10_000)
  expect(maySign(first, 100_000)).toBe(true)
  for (const end of [activated, tainted]) {
    expect(maySign(first, 12_000, end)).toBe(true)
    expect(maySign(first, 12_001, end)).toBe(false)
  }
  expect(maySign(second, 100_000, activated)).toBe(true)
  expect(maySign(first, 12_001, tainted, said('changed', first, 'tainted', 50_000))).toBe(false)
})
