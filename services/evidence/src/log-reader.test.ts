import { encodeEntryBundle, tilePath } from '@bailiwick/tlog'
import { expect, it } from 'vitest'
import { logReader } from './log-reader.ts'

it('reads a bundle once for the leaves in it, and keeps no more than some bundles (V18)', async () => {
  const size = 256 * 40
  const bundle = encodeEntryBundle(Array.from({ length: 256 }, (_, n) => Buffer.alloc(4000, n)))
  const reads: string[] = []
  const storage = {
    async read(path: string) {
      reads.push(path)
      return bundle
    },
  }
  const published = { size, root: new Uint8Array(32), note: '' }
  const reader = logReader(storage, { indexOfEvent: () => undefined }, () => published)
  for (let at = 0; at < 256; at++) expect((await reader.leaf(at))?.[0]).toBe(at)
  expect(reads).toEqual([tilePath({ level: 'entries', index: 0, width: 256 })])
  for (let n = 1; n < 40; n++) await reader.leaf(n * 256)
  expect(reads).toHaveLength(40)
  // The newest are there; the first went for them.
  for (let n = 30; n < 40; n++) await reader.leaf(n * 256 + 1)
  expect(reads).toHaveLength(40)
  await reader.leaf(0)
  expect(reads).toHaveLength(41)
})
