import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { encodeKeyFile } from './key-file.ts'
import { generateKey, publicKeyOf, type SigningKey } from './keys.ts'
import { keyFilePath, readKeyFile, readKeysSecret, writeKeyFile } from './keys-folder.ts'
import { currentKey, keepLaterKey, openRotatingKey } from './rotating-key.ts'
import { fileSigner } from './signer.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'keys-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

const coded = (code: string) => expect.objectContaining({ code })
const secret = 'a passphrase of a good many words'
const place = () => ({ folder, name: 'credential', purpose: 'credential' as const, secret })

it('keeps a key encrypted: only a holder of the secret can read it', () => {
  const key = generateKey('credential')
  writeKeyFile(folder, 'credential', key, secret)
  const text = readFileSync(keyFilePath(folder, 'credential'), 'utf8')
  expect(text).toContain('BEGIN ENCRYPTED PRIVATE KEY')
  expect(text).not.toContain('"d"')
  expect(readKeyFile(folder, 'credential', 'credential', secret).kid).toBe(key.kid)
  for (const wrong of [undefined, `${secret}!`])
    expect(() => readKeyFile(folder, 'credential', 'credential', wrong)).toThrow(coded('config_invalid'))
  expect(() => readKeyFile(folder, 'credential', 'permit', secret)).toThrow(coded('key_purpose_wrong'))
})

it('refuses a key in plain text where there is a secret: the service did not write that file', () => {
  writeKeyFile(folder, 'credential', generateKey('credential'))
  expect(() => openRotatingKey(place())).toThrow(coded('config_invalid'))
})

it('refuses a file whose key is another one than it says', () => {
  writeKeyFile(folder, 'credential', generateKey('credential'), secret)
  writeKeyFile(folder, 'other', generateKey('credential'), secret)
  const read = (name: string) => JSON.parse(readFileSync(keyFilePath(folder, name), 'utf8')) as Record<string, unknown>
  const mixed = { ...read('credential'), encrypted: read('other').encrypted }
  writeFileSync(keyFilePath(folder, 'credential'), JSON.stringify(mixed))
  expect(() => openRotatingKey(place())).toThrow(coded('config_invalid'))
})

it('can be opened by openssl, as any encrypted PKCS#8', () => {
  const key = generateKey('credential')
  writeKeyFile(folder, 'credential', key, secret)
  const { encrypted } = JSON.parse(readFileSync(keyFilePath(folder, 'credential'), 'utf8')) as { encrypted: string }
  const args = ['pkey', '-passin', `pass:${secret}`, '-text', '-noout']
  const told = execFileSync('openssl', args, { input: encrypted, encoding: 'utf8' })
  const { x } = key.publicJwk
  expect(told.replaceAll(/[\s:]/g, '')).toContain(Buffer.from(x, 'base64url').toString('hex'))
})

it('takes a secret that is long enough, from a file that no other user can read', () => {
  const file = join(folder, 'secret')
  writeFileSync(file, `${secret}\n`, { mode: 0o600 })
  expect(readKeysSecret(file)).toBe(secret)
  chmodSync(file, 0o640)
  expect(() => readKeysSecret(file)).toThrow(coded('config_invalid'))
  writeFileSync(join(folder, 'short'), 'hunter2', { mode: 0o600 })
  expect(() => readKeysSecret(join(folder, 'short'))).toThrow(coded('config_invalid'))
})

it('signs with the key that is chosen, also one that came later, and with none when none may', async () => {
  const [first, later] = [generateKey('credential'), generateKey('credential')]
  writeKeyFile(folder, 'credential', first, secret)
  const key = openRotatingKey(place())
  expect(key.kid).toBe(first.kid)
  keepLaterKey(place(), later)
  expect(key.choose([later.kid, first.kid])).toBe(later.kid)
  const data = Buffer.from('data')
  expect(publicKeyOf(later).verify(data, key.sign(data))).toBe(true)
  expect(key.choose([generateKey('credential').kid, first.kid])).toBe(first.kid)
  const held = currentKey(key)
  expect(key.choose([])).toBeUndefined()
  expect(() => key.sign(data)).toThrow(coded('service_unready'))
  expect(publicKeyOf(first).verify(data, await fileSigner(held).sign(data))).toBe(true)
})

it('opens the file of the key that is wanted, and no other; what lies under its name and is another key is not it', () => {
  const [first, later, wanted] = [generateKey('credential'), generateKey('credential'), generateKey('credential')]
  writeKeyFile(folder, 'credential', first, secret)
  const key = openRotatingKey(place())
  writeFileSync(keyFilePath(folder, `credential-${'0'.repeat(24)}`), 'half a fi', { mode: 0o600 })
  keepLaterKey(place(), later)
  expect(key.choose([later.kid, first.kid])).toBe(later.kid)
  const hex = Buffer.from(wanted.kid, 'base64url').toString('hex').slice(0, 24)
  writeKeyFile(folder, `credential-${hex}`, generateKey('credential'), secret)
  expect(key.choose([wanted.kid, later.kid])).toBe(later.kid)
  expect(key.holds(wanted.kid)).toBe(false)
})

it.each<[string, (path: string, key: SigningKey) => void, RegExp]>([
  ['is open to others, as copies often are', (path) => chmodSync(path, 0o644), /mode must be 0600/],
  ['was copied in part', (path) => writeFileSync(path, '{"purpose":"cred'), /not JSON/],
  ['is empty', (path) => writeFileSync(path, ''), /not JSON/],
  [
    'is of another purpose',
    (path) => writeFileSync(path, encodeKeyFile(generateKey('permit'), secret)),
    /not a credential/,
  ],
  ['is in plain text', (path, key) => writeFileSync(path, encodeKeyFile(key)), /not encrypted/],
])('a key whose file %s is none, and says why: its service goes on with the one before', (_, spoil, why) => {
  const [first, later] = [generateKey('credential'), generateKey('credential')]
  writeKeyFile(folder, 'credential', first, secret)
  const key = openRotatingKey(place())
  keepLaterKey(place(), later)
  const path = keyFilePath(folder, `credential-${Buffer.from(later.kid, 'base64url').toString('hex').slice(0, 24)}`)
  spoil(path, later)
  const told: [string, string][] = []
  expect(key.choose([later.kid, first.kid], (kid, problem) => told.push([kid, problem]))).toBe(first.kid)
  expect(told).toEqual([[later.kid, expect.stringMatching(why)]])
  expect(key.kid).toBe(first.kid)
  // The caller that asks to activate it gets the reason.
  expect(() => key.holds(later.kid)).toThrow(why)
  rmSync(path)
  keepLaterKey(place(), later)
  expect(key.choose([later.kid, first.kid])).toBe(later.kid)
})

it('opens without its first key once that is revoked and its file deleted, and signs nothing until it is given a key to sign with', () => {
  const [first, later] = [generateKey('credential'), generateKey('credential')]
  expect(() => openRotatingKey(place())).toThrow(coded('config_invalid'))
  keepLaterKey(place(), later)
  const key = openRotatingKey(place())
  expect(() => key.kid).toThrow(coded('service_unready'))
  expect(key.choose([later.kid])).toBe(later.kid)
  expect(key.kid).toBe(later.kid)
  // A key that is there and cannot be used may be the one that signs.
  writeKeyFile(folder, 'credential', first)
  expect(() => openRotatingKey(place())).toThrow(coded('config_invalid'))
})
