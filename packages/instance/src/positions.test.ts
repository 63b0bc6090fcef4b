import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { embeddedBus } from '@bailiwick/bus/embedded'
import { KeyRing } from '@bailiwick/credentials'
import { judgeByAnchor } from '@bailiwick/projection'
import { expect, it } from 'vitest'
import { trust } from './installation.fixture.ts'
import { Projection } from './projection.ts'

const lastKey = 'key 5'

it('names every partition up to the last that it read, so that a head can always be made (V8)', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'positions-test-'))
  const now = () => 1_800_000_000_000
  try {
    await using bus = await embeddedBus({
      dir,
      now,
      partitions: () => 3,
      retentionMs: () => undefined,
      inMemory: () => false,
    })
    const keyRing = new KeyRing(trust)
    await using projection = await Projection.open({
      bus,
      topics: ['approvals.v1'],
      keyRing,
      judge: judgeByAnchor(keyRing),
      time: { now, monotonic: now },
    })
    expect(projection.positions()).toEqual({})
    // SHA-256 of this key selects the last of three partitions. Nothing was ever read of the other two.
    const [position] = await bus.publish('approvals.v1', [{ key: lastKey, bytes: Buffer.from('no event') }])
    expect(position?.partition).toBe(2)
    if (position) await projection.waitFor(position, 5000)
    expect(projection.positions()).toEqual({ 'approvals.v1': { 0: -1, 1: -1, 2: 0 } })
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
})
