import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { readSecretFile } from './secret-file.ts'

const setting = 'BAILIWICK_X_FILE'
let folder = ''
let file = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'secret-'))
  file = join(folder, 'secret')
  writeFileSync(file, 'word', { mode: 0o600 })
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))
const refused = (why: RegExp) => expect.objectContaining({ code: 'config_invalid', detail: expect.stringMatching(why) })

it.each([0o600, 0o400])('reads a file that is its owner’s alone: %o', (mode) => {
  chmodSync(file, mode)
  expect(readSecretFile(file).toString()).toBe('word')
  expect(readSecretFile(file, { setting }).toString()).toBe('word')
})

it.each([0o640, 0o440, 0o644, 0o604, 0o660, 0o700, 0o666])(
  'refuses a file of mode %o, names the setting and the remedy, and repeats nothing of it (V17)',
  (mode) => {
    chmodSync(file, mode)
    const open = new RegExp(`^${setting}: ${file} is open to others: its mode must be 0600, not 0${mode.toString(8)}$`)
    expect(() => readSecretFile(file, { setting })).toThrow(refused(open))
    expect(() => readSecretFile(file)).toThrow(refused(/^\/.* is open to others/))
  },
)

// As mounted by a container's orchestrator; only root can make such a file.
it.runIf(process.geteuid?.() === 0)('takes a mounted secret that its group may read, but no other user', () => {
  chownSync(file, 1000, 1000)
  for (const mode of [0o440, 0o640, 0o400]) {
    chmodSync(file, mode)
    expect(readSecretFile(file, { setting }).toString()).toBe('word')
  }
  for (const mode of [0o444, 0o460, 0o640 | 0o001, 0o450]) {
    chmodSync(file, mode)
    expect(() => readSecretFile(file, { setting })).toThrow(refused(/open to others/))
  }
  // Our own files are written by the process that reads them.
  chmodSync(file, 0o440)
  expect(() => readSecretFile(file)).toThrow(refused(/open to others/))
})

it('says why it cannot be read', () => {
  expect(() => readSecretFile(join(folder, 'none'), { setting })).toThrow(refused(/^BAILIWICK_X_FILE: .* \(ENOENT\)$/))
  expect(() => readSecretFile(folder, { setting })).toThrow(refused(/open to others|\(EISDIR\)/))
})
