import { existsSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  generateKey,
  readKeyFile,
  sha256,
  type Trust,
  verifyAccessRequest,
  verifyingKey,
  writeKeyFile,
} from '@bailiwick/credentials'
import { testClock } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import { installation } from '../installation.fixture.ts'
import { bailiwick, type Folder, temporaryFolder } from '../io.fixture.ts'

const agent = 'spiffe://bailiwick.local/agent/reconciler/i1'
const authority = {
  type: 'bailiwick_task',
  task: 'reconcile',
  permissions: [{ actions: ['tools/call'], resource: { type: 'tool', id: 'invoices/read' } }],
  budget: { calls: 10 },
  max_depth: 0,
  max_children: 0,
}

/** Approval, as an agent sees it: `states` are its successive answers. */
async function approvalAt(states: string[]) {
  const asked: { jws: string; body: { bailiwick: { purpose?: unknown; attestation?: unknown }; subject: unknown } }[] =
    []
  const server = createServer(async (request, response) => {
    let text = ''
    for await (const part of request) text += part
    if (text !== '') {
      const body = JSON.parse(text)
      asked.push({ jws: body.bailiwick.request, body })
    }
    const id = `req_${sha256(asked[0]?.jws ?? '')}`
    const status = states.length > 1 ? states.shift() : states[0]
    const approval = { grant_id: 'grt_1' }
    const result = status === 'approved' ? { result: { mode: 'reevaluate', approval } } : {}
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ task: { id, status, expires_at: '2026-01-01T01:00:00.000Z' }, ...result }))
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const url = `http://localhost:${(server.address() as AddressInfo).port}`
  return { url, asked, [Symbol.asyncDispose]: async () => void server.close() }
}

function agentsFiles(folder: Folder) {
  const key = generateKey('agent')
  writeKeyFile(folder.path, 'reconciler', key)
  writeFileSync(folder.at('authority.json'), JSON.stringify(authority))
  const argv = [
    'request',
    '--agent',
    agent,
    '--key',
    folder.at('reconciler.json'),
    '--authority',
    folder.at('authority.json'),
  ]
  return { key, argv: [...argv, '--data', folder.path] }
}

it('hands in an ask that the instance signed, with its words beside it, and says where it is answered', async () => {
  using folder = temporaryFolder()
  await using approval = await approvalAt(['pending'])
  const trust: Trust = installation(folder, approval.url)
  const { key, argv } = agentsFiles(folder)
  const clock = testClock()
  const { code, out } = await bailiwick([...argv, '--expires', '600', '--purpose', 'month end'], { clock })
  expect(code).toBe(0)
  const { jws, body } = approval.asked[0] as (typeof approval.asked)[number]
  expect(out).toContain(`Asked as req_${sha256(jws)}: pending`)
  expect(out).toContain(`an approver answers it at ${approval.url}/console`)
  expect(body.subject).toEqual({ type: 'agent', id: agent })
  expect(body.bailiwick.purpose).toMatchObject({ text: 'month end' })
  const verifying = verifyingKey('agent', key.publicJwk)
  if (verifying === undefined) throw new Error('no key')
  const { installation: name } = trust
  const ask = verifyAccessRequest({
    request: jws,
    key: verifying,
    subject: agent,
    installation: name,
    now: clock.now(),
    leewayMs: 0,
  })
  expect(ask).toMatchObject({ ok: true, value: { authority, mode: 'window', expires_in_seconds: 600 } })
})

it.each([
  ['approved', 0, { status: 'approved', grant_id: 'grt_1' }],
  ['denied', 1, { status: 'denied' }],
])('waits for the answer: %s ends with %i', async (state, expected, machine) => {
  using folder = temporaryFolder()
  await using approval = await approvalAt(['pending', state])
  installation(folder, approval.url)
  const { code, out } = await bailiwick([...agentsFiles(folder).argv, '--wait', '--json'])
  expect(code).toBe(expected)
  expect(JSON.parse(out)).toMatchObject(machine)
})

it.each([
  [
    'an authority with a duplicate key',
    (f: Folder) => writeFileSync(f.at('authority.json'), '{"a":1,"a":2}'),
    'a duplicate key',
  ],
  [
    'an authority that cannot be understood',
    (f: Folder) => writeFileSync(f.at('authority.json'), '{"type":"x"}'),
    'authority_',
  ],
  [
    'a key of another purpose',
    (f: Folder) => writeFileSync(f.at('reconciler.json'), '{"purpose":"root","jwk":{}}'),
    'key_purpose_wrong',
  ],
])('asks nothing with %s', async (_, spoil, message) => {
  using folder = temporaryFolder()
  await using approval = await approvalAt(['pending'])
  installation(folder, approval.url)
  const { argv } = agentsFiles(folder)
  spoil(folder)
  const { code, out, err } = await bailiwick(argv)
  expect({ code, out }).toEqual({ code: 2, out: '' })
  expect(err).toContain(message)
  expect(approval.asked).toEqual([])
})

it('asks where the trust anchor that it was given says, without a data directory', async () => {
  using folder = temporaryFolder()
  await using approval = await approvalAt(['pending'])
  installation(folder, approval.url)
  const { argv } = agentsFiles(folder)
  const elsewhere = [...argv.slice(0, -1), '/nonexistent', '--trust', folder.at('trust.json')]
  expect(await bailiwick(elsewhere)).toMatchObject({ code: 0 })
  expect(approval.asked).toHaveLength(1)
})

it('refuses a length of time that cannot be granted', async () => {
  using folder = temporaryFolder()
  const { code, err } = await bailiwick([...agentsFiles(folder).argv, '--expires', '28801'])
  expect(code).toBe(2)
  expect(err).toContain('1 to 28800')
})

it.each([
  ['a file, read when it is needed', 'jwt_svid', ['--token-file'], 'a.workload.token\n', 'a.workload.token'],
  ['the environment', 'oidc', ['--token-env', 'WORKLOAD_TOKEN'], 'a.workload.token', 'a.workload.token'],
  ['a join token, of which approval sees its half', 'join_token', ['--token-env', 'WORKLOAD_TOKEN'], 'one.two', 'one'],
  ['a join token in a file', 'join_token', ['--token-file'], 'one.two\n', 'one'],
])('a workload asks with its token from %s, and a key that it made', async (_, attestor, where, text, token) => {
  using folder = temporaryFolder()
  await using approval = await approvalAt(['pending'])
  installation(folder, approval.url)
  const { argv } = agentsFiles(folder)
  writeFileSync(folder.at('token'), text)
  const given = where.length === 1 ? [...where, folder.at('token')] : where
  const mine = [...argv, '--key', folder.at('made.json'), '--attestor', attestor, ...given]
  expect(await bailiwick(mine, { env: { WORKLOAD_TOKEN: text } })).toMatchObject({ code: 0 })
  const { publicJwk: jwk } = readKeyFile(folder.path, 'made', 'agent')
  expect(statSync(folder.at('made.json')).mode & 0o777).toBe(0o600)
  expect(approval.asked[0]?.body.bailiwick.attestation).toEqual({ token, jwk })
  expect(await bailiwick(mine, { env: { WORKLOAD_TOKEN: text } })).toMatchObject({ code: 0 })
  expect(approval.asked[1]?.body.bailiwick.attestation).toEqual({ token, jwk })
})

it.each([
  ['without a token', ['--attestor', 'oidc'], '--token-file or --token-env'],
  ['without saying how', ['--token-env', 'T'], '--attestor needs'],
  ['with a variable that is not set', ['--attestor', 'oidc', '--token-env', 'T'], 'T is not set'],
  ['with half a join token', ['--attestor', 'join_token', '--token-env', 'HALF'], 'two secrets'],
  ['with a file that is not there', ['--attestor', 'oidc', '--token-file', '/nonexistent'], 'attestation_unavailable'],
  ['with no token in the variable', ['--attestor', 'oidc', '--token-env', 'WORDS'], 'attestation_unavailable'],
])('a workload asks nothing %s', async (_, more, message) => {
  using folder = temporaryFolder()
  await using approval = await approvalAt(['pending'])
  installation(folder, approval.url)
  const mine = [...agentsFiles(folder).argv, '--key', folder.at('made.json'), ...more]
  const { code, err } = await bailiwick(mine, { env: { HALF: 'one', WORDS: 'two words' } })
  expect(code).toBe(2)
  expect(err).toContain(message)
  expect(approval.asked).toEqual([])
})

it.each([[[]], [['--attestor', 'oidc', '--token-env', 'TOKEN']]])(
  'reads, and makes, no other key file than the one that is named: %j',
  async (attested) => {
    using folder = temporaryFolder()
    installation(folder)
    const named = folder.at('agent')
    const { argv } = agentsFiles(folder)
    const at = argv.indexOf('--key') + 1
    const { code, err } = await bailiwick([...argv.with(at, named), '--data', folder.path, ...attested], {
      env: { TOKEN: 'x' },
    })
    expect([code, err]).toEqual([2, `bailiwick: --key: ${named} is no key file (.json) (config_invalid)`])
    expect(existsSync(`${named}.json`)).toBe(false)
  },
)
