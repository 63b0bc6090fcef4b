import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { decodeKeyFile, encodeKeyFile } from './key-file.ts'
import { exportPrivateKey, generateKey } from './keys.ts'
import { keyFilePath, openSnapshotKey, readKeyFile, writeKeyFile } from './keys-folder.ts'

let folder: string
beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), 'keys-')), 'keys')
})
afterEach(() => rmSync(join(folder, '..'), { recursive: true }))

const coded = (code: string) => expect.objectContaining({ code })

it('reads back the key that it wrote, which no other user can read', () => {
  const key = generateKey('permit')
  writeKeyFile(folder, 'permit', key)
  expect(readKeyFile(folder, 'permit', 'permit').kid).toBe(key.kid)
  expect(statSync(keyFilePath(folder, 'permit')).mode & 0o777).toBe(0o600)
  expect(statSync(folder).mode & 0o777).toBe(0o700)
  expect(readdirSync(folder)).toEqual(['permit.json'])
})

it('never overwrites a key', () => {
  const key = generateKey('permit')
  writeKeyFile(folder, 'permit', key)
  expect(() => writeKeyFile(folder, 'permit', generateKey('permit'))).toThrow(coded('config_invalid'))
  expect(readKeyFile(folder, 'permit', 'permit').kid).toBe(key.kid)
  expect(readdirSync(folder)).toEqual(['permit.json'])
})

it('writes over what a crash left half done', () => {
  writeKeyFile(folder, 'other', generateKey('permit'))
  writeFileSync(`${keyFilePath(folder, 'permit')}.new`, '{"purpose":"perm', { mode: 0o644 })
  const key = generateKey('permit')
  writeKeyFile(folder, 'permit', key)
  expect(readKeyFile(folder, 'permit', 'permit').kid).toBe(key.kid)
})

it.each([[0o640], [0o604], [0o660], [0o644], [0o777], [0o700], [0o601]])('refuses a key file of mode %i', (mode) => {
  writeKeyFile(folder, 'permit', generateKey('permit'))
  chmodSync(keyFilePath(folder, 'permit'), mode)
  expect(() => readKeyFile(folder, 'permit', 'permit')).toThrow(coded('config_invalid'))
})

it('judges the mode of the file that a link leads to, as secrets are mounted', () => {
  writeKeyFile(folder, 'permit', generateKey('permit'))
  symlinkSync(keyFilePath(folder, 'permit'), keyFilePath(folder, 'linked'))
  chmodSync(keyFilePath(folder, 'permit'), 0o400)
  expect(readKeyFile(folder, 'linked', 'permit').purpose).toBe('permit')
  chmodSync(keyFilePath(folder, 'permit'), 0o644)
  expect(() => readKeyFile(folder, 'linked', 'permit')).toThrow(coded('config_invalid'))
})

it("gives no service another purpose's key (V12)", () => {
  writeKeyFile(folder, 'permit', generateKey('permit'))
  expect(() => readKeyFile(folder, 'permit', 'credential')).toThrow(coded('key_purpose_wrong'))
})

it('says which file is missing', () => {
  expect(() => readKeyFile(folder, 'permit', 'permit')).toThrow(/permit\.json is missing/)
})

it('stays in its folder', () => {
  for (const name of ['../permit', '/etc/passwd', '', '.', 'a/b', 'A', `${'a'.repeat(65)}`, 'a\0']) {
    expect(() => keyFilePath(folder, name)).toThrow(coded('config_invalid'))
  }
})

it.each([
  [''],
  ['{'],
  ['null'],
  ['[]'],
  ['{"purpose":"permit"}'],
  ['{"purpose":"permit","purpose":"permit","jwk":{}}'],
  ['{"purpose":"permit","jwk":null}'],
])('takes %j for no key file, and repeats nothing of it (V17)', (text) => {
  expect(() => decodeKeyFile(text, 'permit')).toThrow(/^(config_invalid|key_purpose_wrong): [a-z' ]+$/i)
})

it('holds the private half in the file, and nowhere in an error (V17)', () => {
  const key = generateKey('permit')
  writeKeyFile(folder, 'permit', key)
  const { d } = exportPrivateKey(key)
  expect(readFileSync(keyFilePath(folder, 'permit'), 'utf8')).toContain(d)
  expect(() => decodeKeyFile(encodeKeyFile(key).replace('P-256', 'P-384'), 'permit')).toThrow(
    expect.not.objectContaining({ message: expect.stringContaining(d) }),
  )
})

it('makes the key of snapshots once, for its owner alone, and gives the same one again', () => {
  const key = openSnapshotKey(folder)
  expect(key).toHaveLength(32)
  expect(openSnapshotKey(folder)).toEqual(key)
  expect(statSync(keyFilePath(folder, 'snapshot')).mode & 0o777).toBe(0o600)
  expect(openSnapshotKey(`${folder}-of-another`)).not.toEqual(key)
})

it('gives another key of snapshots with a secret: the file alone is not enough', () => {
  const key = openSnapshotKey(folder)
  const withSecret = openSnapshotKey(folder, 's'.repeat(32))
  expect(withSecret).not.toEqual(key)
  expect(openSnapshotKey(folder, 's'.repeat(32))).toEqual(withSecret)
  expect(openSnapshotKey(folder, 't'.repeat(32))).not.toEqual(withSecret)
})

it.each([
  ['that others may read', (path: string) => chmodSync(path, 0o640)],
  ['that is no key', (path: string) => writeFileSync(path, 'word')],
  ['that is too short', (path: string) => writeFileSync(path, Buffer.alloc(31).toString('base64url'))],
  ['with more behind it', (path: string) => writeFileSync(path, `${readFileSync(path).toString()}x`)],
])('refuses a key of snapshots %s (V17)', (_, change) => {
  openSnapshotKey(folder)
  change(keyFilePath(folder, 'snapshot'))
  expect(() => openSnapshotKey(folder)).toThrow(coded('config_invalid'))
})
