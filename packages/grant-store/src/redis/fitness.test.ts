import { expect, it } from 'vitest'
import { unfitness } from './fitness.ts'

const info = (fields: Record<string, string>) =>
  ['# Server', ...Object.entries(fields).map(([name, value]) => `${name}:${value}`), ''].join('\r\n')
const fit = { redis_mode: 'standalone', maxmemory_policy: 'noeviction', role: 'master' }

it('accepts a primary that never evicts', () => {
  expect(unfitness(info(fit))).toBeUndefined()
})

it.each([
  ['evicts', { maxmemory_policy: 'allkeys-lru' }, 'noeviction'],
  ['evicts what expires', { maxmemory_policy: 'volatile-ttl' }, 'noeviction'],
  ['is a cluster', { redis_mode: 'cluster' }, 'Cluster'],
  ['is a replica', { role: 'slave' }, 'replica'],
])('refuses a server that %s', (_, changed, why) => {
  expect(unfitness(info({ ...fit, ...changed }))).toContain(why)
})

it('refuses what does not say what it is (V13)', () => {
  expect(unfitness('')).toBeDefined()
  expect(unfitness(info({ redis_mode: 'standalone', maxmemory_policy: 'noeviction' }))).toContain('primary')
  expect(unfitness('x_maxmemory_policy:noeviction\r\nrole:master')).toBeDefined()
})
