import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { keyFilePath } from '@bailiwick/credentials'
import { paths } from '@bailiwick/installation'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { logger as makeLogger } from '../observe/logger.ts'
import { openSnapshots } from './snapshots.ts'

let data = ''
beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), 'snapshots-'))
})
afterEach(() => rmSync(data, { recursive: true, force: true }))

function opened(folder?: string, secret?: string) {
  const lines: Record<string, unknown>[] = []
  const write = (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>)
  const logger = makeLogger({ service: 'test', level: 'info', destination: { write } })
  return { snapshots: openSnapshots('issuer', { data, folder, secret, logger }), lines }
}

it('stand in the data directory unless a setting says otherwise, and are off where it says so', () => {
  expect(opened().snapshots?.path).toBe(join(data, 'snapshots', 'issuer'))
  expect(opened('/elsewhere').snapshots?.path).toBe('/elsewhere/issuer')
  expect(opened('off')).toEqual({ snapshots: undefined, lines: [] })
})

it('are off where others may read the key, and the log says so without the key (V17)', () => {
  expect(opened().snapshots?.key).toHaveLength(32)
  chmodSync(keyFilePath(paths(data).keys('issuer'), 'snapshot'), 0o644)
  const { snapshots, lines } = opened()
  expect(snapshots).toBeUndefined()
  expect(lines).toMatchObject([{ level: 'warn', snapshot: 'issuer', msg: 'no snapshots: each start reads everything' }])
})

it('say why a start reads everything: a missing one is usual, every other is a warning', () => {
  const { snapshots, lines } = opened()
  snapshots?.onRead({ ageMs: 5 })
  snapshots?.onRead({ refused: 'missing' })
  snapshots?.onRead({ refused: 'forged' })
  snapshots?.onError(new Error('full'))
  expect(lines.map(({ level, refused, age_ms }) => [level, refused ?? age_ms])).toEqual([
    ['info', 5],
    ['info', 'missing'],
    ['warn', 'forged'],
    ['warn', undefined],
  ])
})
