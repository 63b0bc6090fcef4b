import { mkdtempDisposableSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { lockFile } from './lock-file.ts'

it('gives a file to one holder at a time, refuses others with the code of the caller, and leaves the file empty', () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'lock-file-'))
  const file = join(folder.path, 'some.lock')
  {
    using _held = lockFile(file, 'bus_locked')
    expect(() => lockFile(file, 'log_locked')).toThrow(expect.objectContaining({ code: 'log_locked', detail: file }))
    expect(() => lockFile(file, 'bus_locked')).toThrow(expect.objectContaining({ code: 'bus_locked', detail: file }))
    using _other = lockFile(join(folder.path, 'other.lock'), 'bus_locked')
  }
  using _again = lockFile(file, 'bus_locked')
  expect(statSync(file).size).toBe(0)
})

it('does not call a file locked that cannot be opened', () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'lock-file-'))
  expect(() => lockFile(join(folder.path, 'none', 'some.lock'), 'bus_locked')).toThrow('unable to open database file')
})
