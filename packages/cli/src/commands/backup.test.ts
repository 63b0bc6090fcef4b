import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { embeddedBus } from '@bailiwick/bus/embedded'
import { backUp, initialise, paths } from '@bailiwick/installation'
import { lockFile } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import { bailiwick, temporaryFolder } from '../io.fixture.ts'

const now = Date.parse('2026-11-26T12:00:00.000Z')
function installed() {
  const folder = temporaryFolder()
  initialise({
    data: folder.path,
    ...{ publicUrl: 'http://localhost:8420', singleOperator: true, now, randomBytes, entities: [] },
    policies: new Map([['starter.cedar', Buffer.from('permit(principal, action, resource);')]]),
  })
  return folder
}
const bus = (dir: string) => embeddedBus({ dir, partitions: () => 1, retentionMs: () => undefined, now: () => now })

it('refuses what runs by the lock of its bus or of its log, whether or not its socket answers (V7)', async () => {
  using folder = installed()
  using elsewhere = temporaryFolder()
  const target = elsewhere.at('backup')
  const backup = () => bailiwick(['backup', target, '--data', folder.path])
  const refusal = { code: 2, err: expect.stringContaining('must stop first') }
  {
    await using _running = await bus(paths(folder.path).bus)
    expect(await backup()).toMatchObject(refusal)
  }
  {
    using _writing = lockFile(paths(folder.path).logLock, 'log_locked')
    expect(await backup()).toMatchObject(refusal)
  }
  expect(existsSync(target)).toBe(false)
  expect(await backup()).toMatchObject({ code: 0 })
  // The backup has released both locks, and copied neither.
  await using _again = await bus(paths(folder.path).bus)
  for (const lock of [paths(target).busLock, paths(target).logLock]) expect(existsSync(lock)).toBe(false)
})

it('holds the lock while it copies: nothing starts meanwhile', async () => {
  using folder = installed()
  using elsewhere = temporaryFolder()
  await (await bus(paths(folder.path).bus))[Symbol.asyncDispose]()
  let starts: Promise<unknown> | undefined
  // The backup requests its random id last, just before it copies; a copy reads every file that a start would write.
  const random = (bytes: number) => {
    starts ??= bus(paths(folder.path).bus)
    return randomBytes(bytes)
  }
  expect(await bailiwick(['backup', elsewhere.at('backup'), '--data', folder.path], { random })).toMatchObject({
    code: 0,
  })
  await expect(starts).rejects.toMatchObject({ code: 'bus_locked' })
})

it('keeps the lock although it reads the folder of the bus (a process loses its POSIX locks by closing the file)', async () => {
  using folder = installed()
  using elsewhere = temporaryFolder()
  const { bus: dir, busLock } = paths(folder.path)
  await (await bus(dir))[Symbol.asyncDispose]()
  using _held = lockFile(busLock, 'bus_locked')
  const mark = backUp({ data: folder.path, target: elsewhere.at('backup'), now, random: randomBytes })
  expect(Object.keys(mark.files)).not.toContain('bus/process.lock')
  const { spawnSync } = await import('node:child_process')
  const take = `new (require('node:sqlite').DatabaseSync)(process.argv[1], { timeout: 0 }).exec('BEGIN EXCLUSIVE')`
  expect(String(spawnSync(process.execPath, ['-e', take, busLock]).stderr)).toContain('database is locked')
})
