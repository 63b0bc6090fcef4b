import { expect, it } from 'vitest'
import { connectionsWithin, openFilesLimit } from './descriptors.ts'

it.each([
  [Number.POSITIVE_INFINITY, 16_384, 2048],
  [40_000, 16_384, 2048],
  // 1,000 agents with ten streams each.
  [20_300, 10_022, 2048],
  [1024, 384, 192],
  [256, 64, 32],
])('leaves each call a descriptor for its server: %d descriptors', (openFiles, maxConnections, maxConnectionsOfOne) => {
  expect(connectionsWithin(openFiles)).toEqual({ maxConnections, maxConnectionsOfOne })
})

it('knows the limit of this process', () => {
  expect(openFilesLimit()).toBeGreaterThan(100)
})
