import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { tally } from '../tally.ts'

it('refuses when its disk is full, loses nothing, and goes on when there is space (V2, V14)', () => {
  const folder = mkdtempSync(join(tmpdir(), 'bailiwick-full-'))
  const main = join(import.meta.dirname, 'disk-full.ts')
  // In a mount namespace of its own: the file system is gone with the process. Who is not root becomes it there.
  const ran = spawnSync(
    'unshare',
    [
      '--mount',
      '--map-root-user',
      'sh',
      '-ec',
      'mount -t tmpfs -o size=24m none "$1" && exec "$2" "$3" "$1"',
      'sh',
      folder,
      process.execPath,
      main,
    ],
    { encoding: 'utf8', timeout: 170_000 },
  )
  rmSync(folder, { recursive: true })
  // lmdb itself prints why a commit of the index failed, besides telling it to us.
  const byLmdb = /^Error: [^\n]+\n[^\n]*lmdb\/write\.js[^\n]*\{\n {2}code: \d+\n\}\n/gm
  expect(ran.stderr.replace(byLmdb, ''), 'no small file system, or it fell over').toBe('')
  const { until, stillFull, freeBytes, resumed, leaves, acknowledged, lost, findings } = JSON.parse(ran.stdout)
  console.log(`disk full: ${ran.stdout.trim()}`)
  tally('disk full', 'of the log')
  expect(until).toMatchObject({ refused: 'outcome_unknown' })
  expect(until.appended).toBeGreaterThan(100)
  expect(freeBytes).toBeLessThan(2 ** 20)
  for (const session of stillFull) expect(session.refused).toBeDefined()
  expect(resumed).toEqual({ refused: undefined, appended: 300 })
  expect({ lost, findings }).toEqual({ lost: 0, findings: [] })
  expect(leaves).toBeGreaterThanOrEqual(acknowledged)
})
