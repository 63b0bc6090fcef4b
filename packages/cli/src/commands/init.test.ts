import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { decodeKeyFile, thumbprint } from '@bailiwick/credentials'
import { invitationAddress, readGenesis, readInstallation } from '@bailiwick/installation'
import { expect, it } from 'vitest'
import { bailiwick, type Folder, temporaryFolder } from '../io.fixture.ts'
import { put } from '../log.fixture.ts'
import { defaultPolicies } from '../repository.ts'

const unknown = 'permit (principal, action, resource) when { context.unheardOf };'
const starter = {
  'schema.cedarschema': readFileSync(join(defaultPolicies, 'schema.cedarschema'), 'utf8'),
  'tasks.cedar': 'permit (principal, action, resource);',
}

function policies(folder: Folder): string {
  for (const [name, text] of Object.entries(starter)) put(folder.at('policies'), name, Buffer.from(text))
  return folder.at('policies')
}

const init = (folder: Folder, ...more: string[]) =>
  bailiwick(['init', '--data', folder.at('data'), '--policies', policies(folder), ...more])

it('makes an installation, says where the root key is, and prints an invitation on a terminal that its trust anchor knows', async () => {
  using folder = temporaryFolder()
  const argv = ['init', '--data', folder.at('data'), '--policies', policies(folder)]
  const { code, out, err } = await bailiwick([...argv, '--public-url', 'https://bailiwick.example/'], {
    terminal: true,
  })
  expect({ code, err }).toEqual({ code: 0, err: '' })
  const { trust } = readInstallation(folder.at('data'))
  expect(trust).toMatchObject({
    single_operator: false,
    rp_id: 'bailiwick.example',
    public_url: 'https://bailiwick.example',
  })
  expect(out).toContain(`${folder.at('data/keys/root/root.json')}: move it offline`)
  expect(out).not.toContain('SINGLE OPERATOR')
  const [, fragment = ''] = /https:\/\/bailiwick\.example\/#invitation=([A-Za-z0-9_-]+)/.exec(out) ?? []
  const jwk = JSON.parse(Buffer.from(fragment, 'base64url').toString())
  const key = decodeKeyFile(JSON.stringify({ purpose: 'invitation', jwk }), 'invitation')
  expect(key.kid).toBe(thumbprint(trust.invitation.jwk))
})

it.each([
  ['text', [], false],
  ['JSON', ['--json'], false],
  ['JSON on a terminal', ['--json'], true],
])('keeps the invitation out of what may be kept, and names its file, in %s (V17)', async (_, more, terminal) => {
  using folder = temporaryFolder()
  const argv = ['init', '--data', folder.at('data'), '--policies', policies(folder), ...more]
  const { out, err } = await bailiwick(argv, { terminal })
  const file = folder.at('data/invitation.txt')
  expect(out).toContain(file)
  const address = readFileSync(file, 'utf8').trim()
  expect(address).toBe(invitationAddress(folder.at('data')))
  expect(statSync(file).mode & 0o777).toBe(0o600)
  expect(out + err).not.toContain('#invitation=')
})

it.each([
  ['http://localhost:18460', 'Next: BAILIWICK_PORT=18460 npx bailiwick serve'],
  ['http://localhost:8420', 'Next: npx bailiwick serve'],
  ['https://bailiwick.example', 'Next: npx bailiwick serve'],
])('says how to start what it made, at %s', async (url, next) => {
  using folder = temporaryFolder()
  const { out } = await init(folder, '--public-url', url)
  expect(out).toContain(`${next} --data ${folder.at('data')}, then`)
})

it('says to a person outside its container what they can run there', async () => {
  using folder = temporaryFolder()
  const argv = ['init', '--data', folder.at('data'), '--policies', policies(folder)]
  const { out } = await bailiwick(argv, { env: { container: 'oci' } })
  expect(out).toContain(`docker exec CONTAINER cat ${folder.at('data/invitation.txt')}`)
  expect(out).toContain('docker exec -i CONTAINER bailiwick registry apply /dev/stdin <FILE')
  expect(out).not.toContain('npx')
})

it('tells a machine the same in JSON', async () => {
  using folder = temporaryFolder()
  const { out } = await init(folder, '--json', '--single-operator')
  const { trust } = readInstallation(folder.at('data'))
  expect(JSON.parse(out)).toEqual({
    installation: trust.installation,
    data: folder.at('data'),
    trust: folder.at('data/trust.json'),
    root_key: folder.at('data/keys/root/root.json'),
    single_operator: true,
    invitation_file: folder.at('data/invitation.txt'),
  })
  expect(statSync(JSON.parse(out).root_key).mode & 0o777).toBe(0o600)
})

it('says loudly when one person suffices', async () => {
  using folder = temporaryFolder()
  expect((await init(folder, '--single-operator')).out).toContain('SINGLE OPERATOR')
})

it('begins with the entities of a registry file', async () => {
  using folder = temporaryFolder()
  writeFileSync(
    folder.at('registry.yaml'),
    'tool_servers:\n  - { id: erp, url: "https://erp.example/", manifest: "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU", tools: {} }\n',
  )
  expect(await init(folder, '--registry', folder.at('registry.yaml'))).toMatchObject({ code: 0 })
  const { entities } = readGenesis(folder.at('data'))
  expect(entities.filter(({ type }) => type === 'tool-server')).toMatchObject([{ id: 'erp' }])
})

it('never makes a second installation over one that is there', async () => {
  using folder = temporaryFolder()
  await init(folder)
  const before = readInstallation(folder.at('data'))
  const { code, err } = await init(folder)
  expect(code).toBe(2)
  expect(err).toContain('there is an installation')
  expect(readInstallation(folder.at('data'))).toEqual(before)
})

it.each([
  ['no schema', { 'tasks.cedar': 'permit (principal, action, resource);' }, 'schema.cedarschema: missing'],
  ['a schema that does not know what a policy reads', { ...starter, 'more.cedar': unknown }, 'more.cedar'],
  ['no permit', { ...starter, 'tasks.cedar': 'forbid (principal, action, resource);' }, 'permit'],
])('makes nothing of policies with %s: a decision point would deny every call', async (_, files, message) => {
  using folder = temporaryFolder()
  for (const [name, text] of Object.entries(files)) put(folder.at('set'), name, Buffer.from(text))
  for (const command of ['init', 'dev']) {
    const { code, err } = await bailiwick([command, '--data', folder.at('data'), '--policies', folder.at('set')])
    expect({ command, code, err }).toEqual({ command, code: 2, err: expect.stringContaining(message) })
  }
  expect(existsSync(folder.at('data'))).toBe(false)
})

it.each([
  ['an address with a path', ['--public-url', 'https://bailiwick.example/here'], 'is no origin'],
  ['an address that is none', ['--public-url', 'bailiwick'], 'is no origin'],
  ['an IPv4 address', ['--public-url', 'https://127.0.0.1:8420'], 'use a name, not 127.0.0.1'],
  ['an IPv6 address', ['--public-url', 'https://[::1]:8420'], 'use a name, not [::1]'],
  ['a name beyond this machine without https', ['--public-url', 'http://bailiwick.example'], 'needs https'],
  ['no policies', ['--policies', '/nonexistent'], 'there is no policy directory'],
  ['a registry file that is not there', ['--registry', '/nonexistent'], 'cannot read /nonexistent (ENOENT)'],
])('makes nothing of %s, and says what is wrong', async (_, more, message) => {
  using folder = temporaryFolder()
  const { code, err } = await init(folder, ...more)
  expect(code).toBe(2)
  expect(err).toContain(message)
  expect(existsSync(folder.at('data'))).toBe(false)
})
