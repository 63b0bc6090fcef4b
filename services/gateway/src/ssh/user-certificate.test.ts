import { execFileSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemRandom } from '@bailiwick/kit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { publicLine, rawOf, readPublicLine } from './public-key.ts'
import { RevokedKeys } from './revoked-keys.ts'
import { isSignedBySsh } from './ssh-signature.ts'
import { type Login, userCertificate } from './user-certificate.ts'

let folder: string
let raw: Buffer
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ssh-'))
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', join(folder, 'id')])
  const read = readPublicLine(readFileSync(join(folder, 'id.pub'), 'utf8').trim())
  if (read === undefined) throw new Error('ssh-keygen writes another form')
  raw = read
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const ca = generateKeyPairSync('ed25519').privateKey
const login = (): Login => ({
  ...{ raw, serial: 2n ** 64n - 1n, keyId: 'bailiwick grt_1 crd_1 dec_1', principal: 'deploy@web-1' },
  ...{ validAfter: 1_800_000_000, validBefore: 1_800_000_060, command: 'systemctl restart "app"' },
  sourceAddresses: ['10.2.0.0/16', '2001:db8::/32'],
})

it('is a certificate that ssh-keygen reads, with all that was decided and nothing else', () => {
  writeFileSync(join(folder, 'id-cert.pub'), `${userCertificate(login(), ca, systemRandom)}\n`)
  const shown = execFileSync('ssh-keygen', ['-L', '-f', join(folder, 'id-cert.pub')], {
    env: { TZ: 'UTC', PATH: process.env.PATH },
  })
  const lines = shown
    .toString()
    .split('\n')
    .map((line) => line.trim())
  expect(lines).toEqual(
    expect.arrayContaining([
      'Type: ssh-ed25519-cert-v01@openssh.com user certificate',
      'Key ID: "bailiwick grt_1 crd_1 dec_1"',
      'Serial: 18446744073709551615',
      'Valid: from 2027-01-15T08:00:00 to 2027-01-15T08:01:00',
      'deploy@web-1',
      'force-command systemctl restart "app"',
      'source-address 10.2.0.0/16,2001:db8::/32',
      'Extensions: (none)',
    ]),
  )
  writeFileSync(join(folder, 'ca.pub'), publicLine(rawOf(ca)))
  const print = (file: string) =>
    execFileSync('ssh-keygen', ['-l', '-f', join(folder, file)])
      .toString()
      .split(' ')[1]
  expect(shown.toString()).toContain(`Signing CA: ED25519 ${print('ca.pub')}`)
})

describe('the signature of a key', () => {
  const message = 'bailiwick ssh login\nfleet\n'
  const sign = (namespace = 'bailiwick', text = message) =>
    execFileSync('ssh-keygen', ['-q', '-Y', 'sign', '-f', join(folder, 'id'), '-n', namespace], {
      input: text,
      stdio: ['pipe', 'pipe', 'ignore'],
    }).toString()

  it('is that of ssh-keygen over this very text, in this namespace', () => {
    const given = { raw, namespace: 'bailiwick', message }
    expect(isSignedBySsh(sign(), given)).toBe(true)
    expect(isSignedBySsh(sign('file'), given)).toBe(false)
    expect(isSignedBySsh(sign('bailiwick', `${message} `), given)).toBe(false)
    expect(isSignedBySsh(sign(), { ...given, raw: rawOf(ca) })).toBe(false)
  })

  it('is none with one bit changed, with one byte more, or cut short', () => {
    const given = { raw, namespace: 'bailiwick', message }
    const lines = sign().trim().split('\n')
    const bytes = Buffer.from(lines.slice(1, -1).join(''), 'base64')
    const armored = (each: Buffer) =>
      [lines[0], ...(each.toString('base64').match(/.{1,70}/g) ?? []), lines.at(-1), ''].join('\n')
    expect(isSignedBySsh(armored(bytes), given)).toBe(true)
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes)
      changed[at] = (changed[at] ?? 0) ^ 1
      expect(isSignedBySsh(armored(changed), given), `byte ${at}`).toBe(false)
      expect(isSignedBySsh(armored(bytes.subarray(0, at)), given)).toBe(false)
    }
    expect(isSignedBySsh(armored(Buffer.concat([bytes, Buffer.alloc(1)])), given)).toBe(false)
  })
})

it('reads one spelling of a public key', () => {
  const line = publicLine(raw)
  expect(readPublicLine(line)).toEqual(raw)
  for (const other of [`${line} x`, `${line}\n`, ` ${line}`, line.slice(0, -1), line.replace('ed25519', 'rsa'), ''])
    expect(readPublicLine(other)).toBeUndefined()
})

it('lists a key whose grant ended, until its certificate is over everywhere (V7)', () => {
  let now = 0
  const cuts: ((reason: string) => void)[] = []
  let watched = 0
  const watch = (_: string, cut: (reason: string) => void) => {
    watched++
    cuts.push(cut)
    return { [Symbol.dispose]: () => void watched-- }
  }
  using keys = new RevokedKeys({ point: { watch }, now: () => now })
  keys.certified('ssh-ed25519 A', { agent: 'a', decisionId: 'dec_1', validBefore: 60 })
  keys.certified('ssh-ed25519 B', { agent: 'b', decisionId: 'dec_2', validBefore: 60 })
  const listed = () => keys.text.split('\n').filter((line) => line.startsWith('ssh-'))
  expect(listed()).toEqual([])
  expect([keys.size, keys.sizeOf('a'), keys.sizeOf('c')]).toEqual([2, 1, 0])
  cuts[1]?.('grant_revoked')
  expect(listed()).toEqual(['ssh-ed25519 B'])
  now = 119_999
  expect(listed()).toEqual(['ssh-ed25519 B'])
  now = 120_000
  expect([listed(), keys.size, watched]).toEqual([[], 0, 0])
})
