import type { Trust } from '@bailiwick/credentials'
import { systemClock } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import { LogFolder, logKey } from '../log/log.fixture.ts'
import { Log } from '../log/log.ts'
import { Records } from './records.ts'

it('lets others have their turn while it converts many leaves', async () => {
  using folder = new LogFolder()
  await using storage = await folder.open()
  const log = await Log.open(storage, logKey, () => systemClock.now())
  const leaves = Array.from({ length: 64 }, (_, n) => Buffer.from(JSON.stringify({ id: `evt_${n}` })))
  await log.append(leaves, {})
  const records = new Records({
    storage,
    checkpoint: () => log.checkpoint,
    stories: { begin: () => undefined, of: async () => ({}) },
    index: { isVoid: () => false, size: leaves.length },
    trust: { installation: 'acme', log: { vkey: 'log' } } as Trust,
    origin: 'log.example/log',
  })
  // The first read opens what the later ones find.
  expect(await records.read(0, 1)).toHaveLength(1)
  let turns = 0
  let isOver = false
  const count = () => {
    turns++
    if (!isOver) setImmediate(count)
  }
  setImmediate(count)
  const read = await records.read(1, 63).finally(() => {
    isOver = true
  })
  expect(read.map(({ index }) => index)).toEqual(Array.from({ length: 63 }, (_, n) => n + 1))
  expect(turns).toBeGreaterThanOrEqual(15)
})
