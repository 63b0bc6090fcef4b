import { readdirSync } from 'node:fs'
import {
  generateKey,
  jcsHash,
  KeyRing,
  publicKeyOf,
  readKeyFile,
  verifyGenesisStatement,
  writeKeyFile,
} from '@bailiwick/credentials'
import { paths } from '@bailiwick/installation'
import { expect, it } from 'vitest'
import { parse } from 'yaml'
import { installation } from '../installation.fixture.ts'
import { bailiwick, temporaryFolder } from '../io.fixture.ts'
import { operatorAt } from '../operator.fixture.ts'

const since = '2026-11-26T18:00:00.000Z'
const standing = (kid: string, state: string, purpose = 'credential') => ({
  ...{ kid, purpose, service: 'issuer', state, since },
  not_after: '2031-11-26T18:00:00.000Z',
})
const [first, second] = [generateKey('credential').kid, generateKey('credential').kid]

interface Sent {
  value: { id: string; state: string; purpose: string; certificate: string }
  jws: string
}

it('prepares a key: its file first, then its certificate and the signature of the root (V3, V12)', async () => {
  using folder = temporaryFolder()
  const root = generateKey('root')
  const trust = installation(folder, undefined, root)
  writeKeyFile(paths(folder.path).keys('root'), 'root', root)
  const files = () => readdirSync(paths(folder.path).keys('issuer'))
  let there: string[] = []
  await using operator = await operatorAt(folder.path, ({ body }) => {
    there = files()
    return { body: standing((body as Sent).value.id, 'prepared') }
  })
  const { code, out } = await bailiwick(['keys', 'prepare', 'credential', '--data', folder.path])
  expect(code).toBe(0)
  const [call] = operator.calls
  const { value, jws } = (call?.body ?? {}) as Sent
  expect(call?.path).toBe('/operator/keys')
  expect(there).toEqual([expect.stringMatching(/^credential-[0-9a-f]{24}\.json$/)])
  expect(value).toMatchObject({ state: 'prepared', purpose: 'credential' })
  expect(new KeyRing(trust).certify(value.certificate)).toMatchObject({ ok: true, value: { kid: value.id } })
  const signed = verifyGenesisStatement({ statement: jws, key: publicKeyOf(root), installation: trust.installation })
  expect(signed).toMatchObject({ ok: true, value: { entity_type: 'service-key', version: 1, after: jcsHash(value) } })
  expect(JSON.stringify(operator.calls)).not.toContain('"d":')
  expect(out).toContain(`credential key ${value.id} is prepared.`)
})

it('prepares no key without the root key of this installation (V12)', async () => {
  using folder = temporaryFolder()
  installation(folder)
  writeKeyFile(paths(folder.path).keys('root'), 'root', generateKey('root'))
  await using operator = await operatorAt(folder.path, () => ({ body: {} }))
  const { code, err } = await bailiwick(['keys', 'prepare', 'permit', '--data', folder.path])
  expect(code).toBe(2)
  expect(err).toContain('not the root key of this installation')
  expect(operator.calls).toEqual([])
})

it.each([
  ['activate', 'active'],
  ['taint', 'tainted'],
  ['revoke', 'revoked'],
])('%s names the key by its first characters, and asks for %s', async (verb, state) => {
  using folder = temporaryFolder()
  installation(folder)
  await using operator = await operatorAt(folder.path, ({ method }) =>
    method === 'GET'
      ? { body: { keys: [standing(first, 'active'), standing(second, 'prepared')] } }
      : { body: standing(second, state) },
  )
  const { code, out } = await bailiwick(['keys', verb, second.slice(0, 12), '--data', folder.path])
  expect(code).toBe(0)
  expect(operator.calls.at(-1)).toMatchObject({ path: '/operator/keys/state', body: { kid: second, state } })
  expect(out).toContain(`credential key ${second} is ${state}.`)
  for (const wrong of ['', 'no such key']) {
    const refused = await bailiwick(['keys', verb, wrong, '--data', folder.path])
    expect(refused.code).toBe(2)
  }
  expect(operator.calls.filter(({ method }) => method === 'POST')).toHaveLength(1)
})

it('lists every key, by purpose', async () => {
  using folder = temporaryFolder()
  installation(folder)
  const all = [standing(second, 'tainted', 'permit'), standing(first, 'active')]
  await using _ = await operatorAt(folder.path, () => ({ body: { keys: all } }))
  const { out } = await bailiwick(['keys', 'list', '--data', folder.path])
  expect(out.split('\n').map((line) => line.split(/ {2,}/).slice(0, 3))).toEqual([
    ['PURPOSE', 'KEY', 'STATE'],
    ['credential', first, 'active'],
    ['permit', second, 'tainted'],
  ])
})

it('makes the key by which the console reads evidence elsewhere, once, and tells no secret (V12, V17)', async () => {
  using folder = temporaryFolder()
  installation(folder)
  const { code, out } = await bailiwick(['keys', 'auditor', '--data', folder.path])
  expect(code).toBe(0)
  const key = readKeyFile(paths(folder.path).keys('approval'), 'auditor', 'auditor')
  const { auditors } = parse(out) as { auditors: unknown[] }
  expect(auditors).toEqual([{ id: 'console', name: 'The page Evidence of the console', jwk: key.publicJwk }])
  expect(JSON.stringify(auditors)).not.toContain('"d"')
  expect(await bailiwick(['keys', 'auditor', '--data', folder.path])).toMatchObject({ code: 2, out: '' })
  expect(readKeyFile(paths(folder.path).keys('approval'), 'auditor', 'auditor').kid).toBe(key.kid)
})

it.each([
  ['permit', 'Enforcement points take none later than a minute from now.'],
  ['notification', 'once they read the key set again.'],
  ['issuer-event', 'What it signed until now stays history.'],
] as const)('says of a revoked %s key what becomes of what it signed', async (purpose, means) => {
  using folder = temporaryFolder()
  installation(folder)
  const key = generateKey(purpose).kid
  await using operator = await operatorAt(folder.path, ({ method }) =>
    method === 'GET'
      ? { body: { keys: [standing(key, 'tainted', purpose)] } }
      : { body: standing(key, 'revoked', purpose) },
  )
  const { out } = await bailiwick(['keys', 'revoke', key, '--data', folder.path])
  expect(out).toContain(means)
  expect(out).not.toContain('1 s')
  expect(operator.calls.at(-1)).toMatchObject({ body: { kid: key, state: 'revoked' } })
})
