import { existsSync, statSync, writeFileSync } from 'node:fs'
import { readKeyFile, thumbprint } from '@bailiwick/credentials'
import { expect, it } from 'vitest'
import { parse } from 'yaml'
import { bailiwick, type Folder, temporaryFolder } from '../io.fixture.ts'
import { readRegistryFile } from '../registry-file.ts'

const agentId = 'spiffe://bailiwick.local/agent/reconciler'

function applied(folder: Folder, out: string) {
  writeFileSync(folder.at('registry.yaml'), out)
  return readRegistryFile(folder.at('registry.yaml')).entities
}

it('makes the key of an agent, and an entry that registry apply takes', async () => {
  using folder = temporaryFolder()
  const made = await bailiwick(['keys', 'agent', agentId, '--owner', 'olivia', '--out', folder.path])
  expect(made.code).toBe(0)
  expect(statSync(folder.at('reconciler-i1.json')).mode & 0o777).toBe(0o600)
  const key = readKeyFile(folder.path, 'reconciler-i1', 'agent')
  expect(applied(folder, made.out)).toMatchObject([{ type: 'agent', id: agentId }])
  const [{ attestor, owner }] = parse(made.out).agents
  expect(owner).toBe('olivia')
  expect(thumbprint(attestor.keys[0].jwk)).toBe(key.kid)
  expect(made.out + made.err).not.toContain('"d"')
})

it('makes the two keys of an enforcement point, each for its one purpose (decision 7)', async () => {
  using folder = temporaryFolder()
  const resources = ['--resource', 'tool:invoices/read', '--resource', 'api:https://invoices.example.com/v1/']
  const args = ['keys', 'point', 'invoices-api', ...resources, '--base-url', 'https://invoices.example.com']
  const made = await bailiwick([...args, '--out', folder.path])
  expect(made.code).toBe(0)
  const [point] = parse(made.out).enforcement_points
  expect(point).toMatchObject({
    resources: [
      { type: 'tool', id: 'invoices/read' },
      { type: 'api', id_prefix: 'https://invoices.example.com/v1/' },
    ],
    may_release: false,
  })
  expect(thumbprint(point.caller_jwk)).toBe(readKeyFile(folder.path, 'invoices-api-caller', 'pep-caller').kid)
  expect(thumbprint(point.outcome_jwk)).toBe(readKeyFile(folder.path, 'invoices-api-outcome', 'outcome').kid)
  expect(applied(folder, made.out)).toMatchObject([{ type: 'enforcement-point', id: 'invoices-api' }])
})

it.each([
  ['agent', ['reconciler', '--owner', 'olivia'], 'id: not a SPIFFE ID'],
  ['agent', [agentId, '--owner', 'o l i'], 'owner: not a registry name'],
  ['point', ['invoices-api', '--resource', 'invoices', '--base-url', 'https://a.example'], 'invoices is not type:id'],
  ['point', ['invoices-api', '--resource', 'tool:x', '--base-url', 'nowhere'], 'base_urls.0'],
])('refuses an entry that registry apply would refuse, and makes no key: %s %j', async (kind, args, why) => {
  using folder = temporaryFolder()
  const { code, err } = await bailiwick(['keys', kind, ...args, '--out', folder.at('keys')])
  expect(code).toBe(2)
  expect(err).toContain(why)
  expect(existsSync(folder.at('keys'))).toBe(false)
})

it('overwrites no key', async () => {
  using folder = temporaryFolder()
  const args = ['keys', 'agent', agentId, '--owner', 'olivia', '--out', folder.path]
  expect((await bailiwick(args)).code).toBe(0)
  const { kid } = readKeyFile(folder.path, 'reconciler-i1', 'agent')
  const again = await bailiwick(args)
  expect(again).toMatchObject({ code: 2, err: expect.stringContaining('there is a key file') })
  expect(readKeyFile(folder.path, 'reconciler-i1', 'agent').kid).toBe(kid)
})
