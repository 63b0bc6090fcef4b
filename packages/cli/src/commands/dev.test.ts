import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { createAgent } from '@bailiwick/agent'
import { encodeTrust, generateKey, parseTrust, readKeyFile } from '@bailiwick/credentials'
import { paths } from '@bailiwick/installation'
import { systemClock, systemRandom } from '@bailiwick/kit'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { installation } from '../installation.fixture.ts'
import { bailiwick, type Folder, temporaryFolder } from '../io.fixture.ts'

const cli = join(import.meta.dirname, '../main.ts')

async function freePort(): Promise<number> {
  const probe = createServer()
  probe.listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address()
  probe.close()
  await once(probe, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}

const outputs = temporaryFolder()
let starts = 0

/** Both streams go to one file: it holds their lines in the order in which a terminal shows them. */
function start(args: readonly string[], env: Record<string, string> = {}, input: 'ignore' | 'pipe' = 'ignore') {
  const file = outputs.at(`output-${starts++}`)
  const output = openSync(file, 'w')
  const child = spawn(process.execPath, [cli, ...args], {
    env: { ...process.env, ...env },
    stdio: [input, output, output],
  })
  closeSync(output)
  return {
    child,
    get output() {
      return readFileSync(file, 'utf8')
    },
  }
}

async function ended(child: ChildProcess): Promise<number | null> {
  return child.exitCode ?? ((await once(child, 'close')) as [number | null])[0]
}

let folder: Folder
let dev: ReturnType<typeof start>
let names: NodeJS.Dict<string>
beforeAll(async () => {
  folder = temporaryFolder()
  const answers = folder.at('answers.yaml')
  writeFileSync(
    answers,
    'requests:\n  - { agent: reconciler, at_most: { calls: 5 }, answer: approve }\n  - { answer: deny, reason: only five calls }\n',
  )
  const file = folder.at('env')
  const args = ['--port', String(await freePort()), '--data', folder.at('data'), '--approve', answers, '--env', file]
  dev = start(['dev', ...args])
  await vi.waitFor(() => expect(dev.output).toContain('Bailiwick is ready'), 120_000)
  names = parseEnv(readFileSync(file, 'utf8'))
})
afterAll(async () => {
  dev?.child.kill('SIGTERM')
  if (dev !== undefined) expect(await ended(dev.child)).toBe(0)
  folder?.[Symbol.dispose]()
  outputs[Symbol.dispose]()
})

/** An agent that knows only the content of the file. */
function agent() {
  const { BAILIWICK_AGENT = '', BAILIWICK_AGENT_INSTANCE = '', BAILIWICK_AGENT_KEY = '', BAILIWICK_URL = '' } = names
  const keyFolder = join(BAILIWICK_AGENT_KEY, '..')
  return createAgent({
    agentId: BAILIWICK_AGENT,
    instance: BAILIWICK_AGENT_INSTANCE,
    key: readKeyFile(keyFolder, 'reconciler', 'agent'),
    installation: names.BAILIWICK_INSTALLATION ?? '',
    baseUrl: BAILIWICK_URL,
    now: () => systemClock.now(),
    random: systemRandom,
  })
}

const asking = (calls: number) => ({
  authority: {
    type: 'bailiwick_task',
    task: 'try',
    permissions: [{ actions: ['tools/call'], resource: { type: 'tool', id: 'invoices/read' } }],
    budget: { calls },
  },
  mode: 'window' as const,
  expiresInSeconds: 600,
})

it('answers by the file of rules, as a person would: a grant gives a credential, and a denial has its reason', async () => {
  const yes = await agent().request(asking(5))
  await expect.poll(async () => (await agent().status(yes.requestId)).status).toBe('approved')
  const { grantId = '' } = await agent().status(yes.requestId)
  const { token } = await agent().credential({ grantId }, { wait: AbortSignal.timeout(60_000) })
  expect(token).toMatch(/^ey/)
  const no = await agent().request(asking(6))
  await expect.poll(async () => (await agent().status(no.requestId)).status).toBe('denied')
  await expect.poll(() => dev.output).toContain(`approved  ${yes.requestId}`)
  await expect.poll(() => dev.output).toContain(`denied    ${no.requestId}`)
})

it('shows a person the text first; the warning for the log follows', async () => {
  const warning = '"msg":"SOFTWARE APPROVER'
  await expect.poll(() => dev.output).toContain(warning)
  expect(dev.output.indexOf('Bailiwick is ready')).toBeLessThan(dev.output.indexOf(warning))
})

it('says everywhere that a program approves', async () => {
  const data = names.BAILIWICK_DATA ?? ''
  expect(dev.output).toContain('SOFTWARE APPROVER')
  expect(JSON.parse(readFileSync(names.BAILIWICK_TRUST ?? '', 'utf8'))).toMatchObject({ software_approver: true })
  const hello = await fetch(`${names.BAILIWICK_URL}/console/api/hello`)
  expect(await hello.json()).toMatchObject({ software_approver: true })
  for (const args of [['status'], ['verify'], ['requests'], ['report'], ['trace', names.BAILIWICK_AGENT ?? '']]) {
    const { out, err } = await bailiwick([...args, '--data', data], { clock: systemClock })
    expect(out + err, args[0]).toContain('SOFTWARE APPROVER')
  }
})

it('has no root key, and trust.json without its mark is none: nothing can be made of it', () => {
  const data = names.BAILIWICK_DATA ?? ''
  const files = readdirSync(data, { recursive: true, encoding: 'utf8' })
  expect(files.filter((file) => /root/.test(file))).toEqual([])
  const { software_approver, ...trust } = parseTrust(readFileSync(paths(data).trust))
  expect(software_approver).toBe(true)
  expect(() => encodeTrust(trust)).toThrow('the root key did not sign it')
})

it.each([
  ['a bus that others share', { BAILIWICK_BUS: 'kafka://127.0.0.1:1', BAILIWICK_DEV: '1' }, 'embedded bus alone'],
  ['an address beyond this machine', { BAILIWICK_HOST: '0.0.0.0', BAILIWICK_TLS: 'terminated' }, 'loopback alone'],
])('is refused on %s, also by serve', async (_, env, why) => {
  using another = temporaryFolder()
  writeFileSync(another.at('trust.json'), readFileSync(names.BAILIWICK_TRUST ?? ''))
  const served = start(['serve', 'issuer', '--data', another.path, '--port', '0'], env)
  expect(await ended(served.child)).toBe(1)
  expect(served.output).toContain(why)
})

it.each([
  [
    'a grant store that others share',
    { BAILIWICK_GRANT_STORE: 'rediss://redis.example:6379' },
    'BAILIWICK_GRANT_STORE',
  ],
  ['another name', { BAILIWICK_HOSTS: 'agents.example.com' }, 'BAILIWICK_HOSTS'],
  ['a proxy in front', { BAILIWICK_TRUSTED_PROXIES: '10.0.0.0/8' }, 'BAILIWICK_TRUSTED_PROXIES'],
])('is refused with %s by serve', async (_, env, why) => {
  using another = temporaryFolder()
  writeFileSync(another.at('trust.json'), readFileSync(names.BAILIWICK_TRUST ?? ''))
  const served = start(['serve', '--data', another.path, '--port', String(await freePort())], {
    ...env,
    BAILIWICK_PUBLIC_URL: names.BAILIWICK_URL ?? '',
  })
  expect(await ended(served.child)).toBe(1)
  expect(served.output).toContain(why)
})

it('overwrites no file that holds anything else', async () => {
  using own = temporaryFolder()
  writeFileSync(own.at('.env'), 'API_KEY=mine\n')
  const args = ['--data', own.at('data'), '--port', String(await freePort()), '--env', own.at('.env')]
  const refused = start(['dev', ...args])
  expect(await ended(refused.child)).toBe(1)
  expect(refused.output).toContain('API_KEY')
  expect(readFileSync(own.at('.env'), 'utf8')).toBe('API_KEY=mine\n')
  expect(existsSync(own.at('data'))).toBe(false)
})

it('leaves an installation that is there as it was', async () => {
  using real = temporaryFolder()
  installation(real)
  const before = readFileSync(real.at('trust.json'))
  const again = start(['dev', '--data', real.path, '--port', String(await freePort())])
  expect(await ended(again.child)).toBe(1)
  expect(again.output).toContain('there is an installation')
  expect(readFileSync(real.at('trust.json')).equals(before)).toBe(true)
  expect(readdirSync(real.path)).toEqual(['trust.json'])
})

const registry = `
agents:
  - id: spiffe://bailiwick.local/agent/ledger
    name: Ledger
    owner: owner
    attestor: { kind: registered_key, keys: [{ instance: i1, jwk: ${JSON.stringify(generateKey('agent').publicJwk)} }] }
    labels: []
    proactive_requests: true
`

it('begins with the registry of a file instead of the sample, and ends with its input where that is wanted', async () => {
  using own = temporaryFolder()
  writeFileSync(own.at('registry.yaml'), registry)
  const data = own.at('data')
  const args = ['--data', data, '--port', String(await freePort()), '--registry', own.at('registry.yaml')]
  const begun = start(['dev', ...args, '--until-input-ends'], {}, 'pipe')
  await expect.poll(() => begun.output).toContain('Bailiwick is ready')
  expect(begun.output).not.toContain('BAILIWICK_AGENT=')
  const { out } = await bailiwick(['registry', 'list', 'agent', '--data', data])
  expect(out.trim()).toMatch(/^agent +v1 +spiffe:\/\/bailiwick\.local\/agent\/ledger$/)
  // As when the program that started it is killed.
  begun.child.stdin?.destroy()
  expect(await ended(begun.child)).toBe(0)
})

it('refuses a wrong file of rules before it makes anything, also with a registry', async () => {
  using other = temporaryFolder()
  writeFileSync(other.at('answers.yaml'), 'requests: [{ answer: maybe }]')
  writeFileSync(other.at('registry.yaml'), registry)
  const files = ['--approve', other.at('answers.yaml'), '--registry', other.at('registry.yaml')]
  const wrong = start(['dev', '--data', other.at('data'), '--port', String(await freePort()), ...files])
  expect(await ended(wrong.child)).toBe(1)
  expect(wrong.output).toContain('requests.0.answer')
  expect(existsSync(other.at('data'))).toBe(false)
})
