import { existsSync, readFileSync, statSync } from 'node:fs'
import {
  generateKey,
  importPrivateKey,
  jcsHash,
  publicKeyOf,
  verifyGenesisStatement,
  verifyingKey,
  writeKeyFile,
} from '@bailiwick/credentials'
import { paths } from '@bailiwick/installation'
import { expect, it } from 'vitest'
import { installation } from '../installation.fixture.ts'
import { bailiwick, temporaryFolder } from '../io.fixture.ts'
import { operatorAt } from '../operator.fixture.ts'

const usable_from = '2026-11-26T18:00:00.000Z'
const person = ['--approver', 'olga', '--name', 'Olga', '--groups', 'owners, finance']

interface Sent {
  value: { id: string; jwk: object; approver_id: string; name: string; groups: string[] }
  jws: string
}

/** A data directory with the root key where `init` puts it. */
function withRootKey(folder: ReturnType<typeof temporaryFolder>) {
  const root = generateKey('root')
  const trust = installation(folder, undefined, root)
  writeKeyFile(paths(folder.path).keys('root'), 'root', root)
  return { root, trust }
}

it('registers a recovery that the root key signed, says loudly from when, and gives the address once (V3)', async () => {
  using folder = temporaryFolder()
  const { root, trust } = withRootKey(folder)
  await using operator = await operatorAt(folder.path, ({ body }) => ({
    body: { recovery: (body as Sent).value.id, approver_id: 'olga', usable_from },
  }))
  const { code, out } = await bailiwick(['recover', ...person, '--data', folder.path], { terminal: true })
  expect(code).toBe(0)
  const [call] = operator.calls
  const { value, jws } = (call?.body ?? {}) as Sent
  expect(call?.path).toBe('/operator/recoveries')
  expect(existsSync(paths(folder.path).recovery(value.id))).toBe(false)
  expect(value).toMatchObject({ approver_id: 'olga', name: 'Olga', groups: ['owners', 'finance'] })
  const signed = verifyGenesisStatement({ statement: jws, key: publicKeyOf(root), installation: trust.installation })
  expect(signed).toMatchObject({
    ok: true,
    value: { entity_type: 'recovery', entity_id: value.id, version: 1, after: jcsHash(value) },
  })
  expect(out).toContain(`RECOVERY ${value.id} is registered`)
  expect(out).toContain(usable_from)
  const [, fragment = ''] = /http:\/\/localhost:8420\/#recovery=(\S+)/.exec(out) ?? []
  const { id, ...jwk } = JSON.parse(Buffer.from(fragment, 'base64url').toString())
  expect(id).toBe(value.id)
  expect(importPrivateKey('invitation', jwk)?.kid).toBe(verifyingKey('invitation', value.jwk)?.kid)
  expect(JSON.stringify(operator.calls)).not.toContain(jwk.d)
})

it.each<[string, string[], boolean]>([
  ['what is no terminal', [], false],
  ['JSON on a terminal', ['--json'], true],
])('keeps the address out of what may be kept, and names its file, in %s (V17)', async (_, more, terminal) => {
  using folder = temporaryFolder()
  withRootKey(folder)
  await using _operator = await operatorAt(folder.path, ({ body }) => ({
    body: { recovery: (body as Sent).value.id, approver_id: 'olga', usable_from },
  }))
  const argv = ['recover', ...person, '--data', folder.path, ...more]
  const { code, out, err } = await bailiwick(argv, { terminal })
  expect([code, err]).toEqual([0, ''])
  const [id = ''] = /rcv-[0-9a-f]{20}/.exec(out) ?? []
  const file = paths(folder.path).recovery(id)
  expect(out).toContain(file)
  expect(out).not.toContain('#recovery=')
  expect(statSync(file).mode & 0o777).toBe(0o600)
  const [, fragment = ''] = /^http:\/\/localhost:8420\/#recovery=(\S+)\n$/.exec(readFileSync(file, 'utf8')) ?? []
  expect(JSON.parse(Buffer.from(fragment, 'base64url').toString())).toMatchObject({ id, kty: 'EC' })
})

it.each<[string, string[], string]>([
  ['a name that is none', ['--approver', 'olga', '--name', 'a\nb', '--groups', 'owners'], '--name: '],
  ['groups that are none', ['--approver', 'olga', '--name', 'Olga', '--groups', 'a b'], '--groups: '],
  ['no key file', [...person, '--root-key', '/nowhere/root'], 'is no key file'],
])('registers nothing with %s', async (_, more, message) => {
  using folder = temporaryFolder()
  withRootKey(folder)
  await using operator = await operatorAt(folder.path, () => ({ body: {} }))
  const { code, err } = await bailiwick(['recover', ...more, '--data', folder.path])
  expect(code).toBe(2)
  expect(err).toContain(message)
  expect(operator.calls).toEqual([])
})

it('registers nothing by the root key of another installation (V12)', async () => {
  using folder = temporaryFolder()
  withRootKey(folder)
  using other = temporaryFolder()
  withRootKey(other)
  const key = `${paths(other.path).keys('root')}/root.json`
  const { code, err } = await bailiwick(['recover', ...person, '--root-key', key, '--data', folder.path])
  expect(code).toBe(2)
  expect(err).toContain('not the root key of this installation')
})
