import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { embeddedBus } from '@bailiwick/bus/embedded'
import { KeyRing, parseTrust } from '@bailiwick/credentials'
import { Projection } from '@bailiwick/instance'
import { expect, it } from 'vitest'
import type { SignedVector } from './signed-vectors.ts'

const folder = join(import.meta.dirname, '../vectors/signed-events')
const trust = parseTrust(readFileSync(join(folder, 'trust.json')))
const vectors: SignedVector[] = JSON.parse(readFileSync(join(folder, 'events.json'), 'utf8'))
const verdictOfLine = { ALLOW: 'counts', DENY: 'counts', ABANDONED: 'counts', VOID: 'void' }

it('our own readers agree with the vectors (V12)', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'signed-vectors-'))
  const time = { now: () => Date.parse('2026-07-01T12:00:00.000Z'), monotonic: () => 0 }
  const found = new Map<number, string>()
  const offsets = new Map<string, number>()
  try {
    // A retired key's event is late when the bus accepts it a minute afterwards: this is just before.
    const now = () => time.now() - 1000
    await using bus = await embeddedBus({ dir, now, partitions: () => 1, retentionMs: () => undefined })
    await using projection = await Projection.open({
      bus,
      topics: ['decisions.v1'],
      keyRing: new KeyRing(trust),
      judge: async () => true, // another suite tests who may change the registry
      time,
      onRefused: ({ topic, offset }, code) => found.set(offsets.get(`${topic} ${offset}`) ?? -1, code),
    })
    projection.onFact(({ topic, position, verdict }) =>
      found.set(offsets.get(`${topic} ${position.offset}`) ?? -1, verdict),
    )
    const next: Record<string, number> = {}
    for (const [n, { topic, key, event }] of vectors.entries()) {
      const offset = next[topic] ?? 0
      next[topic] = offset + 1
      offsets.set(`${topic} ${offset}`, n)
      await bus.publish(topic, [{ key, bytes: Buffer.from(event) }])
      await projection.waitFor({ topic, partition: 0, offset }, 60_000)
    }
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
  expect(found.size).toBe(vectors.length)
  for (const [n, { desc, topic, want, wantErr }] of vectors.entries()) {
    const verdict = want?.split('\t')[1] as keyof typeof verdictOfLine | undefined
    if (wantErr !== null) expect(found.get(n), desc).toBe(wantErr)
    else if (verdict !== undefined) expect(found.get(n), desc).toBe(verdictOfLine[verdict])
    // A registry event may be well signed and still have no effect: what it does not certify shows in the decisions.
    else expect(topic === 'registry.v1' ? ['counts', 'void'] : ['counts', 'repeated'], desc).toContain(found.get(n))
  }
})
