import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { GrantName } from '@bailiwick/agent'
import { listenLoopback, openSidecar } from '@bailiwick/agent/sidecar'
import { exportPrivateKey } from '@bailiwick/credentials'
import { systemRandom } from '@bailiwick/kit'
import { sampleKey } from '@bailiwick/standalone/sample'
import { freePort } from '@bailiwick/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { actionOf } from './action-of.ts'
import { compare, judge, type Revision } from './conformance.ts'
import { startFixture } from './fixture.ts'
import { type Installation, openInstallation } from './installation.ts'
import { installed, judges, lacksJudges, runScript } from './programs.ts'
import { startScript } from './running.ts'
import { startSidecar } from './sidecar.ts'

/** Scenarios whose report differs through the gateway, each with the reason. One that no longer differs must leave this list. */
const gaps: Record<Revision, Readonly<Record<string, string>>> = {
  '2025-11-25': {},
  '2026-07-28': {},
}

const here = import.meta.dirname
const said = 'This is a simple text response for testing.'
const reference = (name: string, ...args: string[]) => ({
  command: [process.execPath, installed(`@modelcontextprotocol/server-${name}`, 'dist/index.js'), ...args],
})

describe.skipIf(lacksJudges)('the gateway', () => {
  const opened = new AsyncDisposableStack()
  let direct: string
  let world: Installation
  /** The agent's address for a server: plain MCP, without any credential. */
  let at: (server: string) => string
  let grant: GrantName

  beforeAll(async () => {
    const folder = mkdtempSync(join(tmpdir(), 'judges-'))
    opened.defer(() => rmSync(folder, { recursive: true, force: true }))
    writeFileSync(join(folder, 'note.txt'), 'a note\n')
    const fixture = opened.use(await startFixture())
    direct = fixture.url
    const bridged = await freePort()
    const everything = reference('everything').command.join(' ')
    const bridge = ['--stdio', everything, '--outputTransport', 'streamableHttp', '--port', String(bridged)]
    await opened.use(startScript(judges.supergateway(), bridge)).says('Listening on port')
    const servers = {
      bridged: { url: `http://localhost:${bridged}/mcp` },
      fixture: { url: direct },
      everything: reference('everything'),
      files: reference('filesystem', folder),
      memory: { ...reference('memory'), env: { MEMORY_FILE_PATH: join(folder, 'memory.json') } },
      thinking: reference('sequential-thinking'),
    }
    world = opened.use(await openInstallation({ servers }))
    const grants = new Map<string, GrantName>()
    for (const name of Object.keys(servers)) grants.set(name, await world.grant(name))
    const { agent, url } = world
    for (const name of Object.keys(servers)) {
      const sidecar = await startSidecar({ agent, gateway: url, actionOf, grant: () => grants.get(name) })
      opened.use(sidecar)
      addresses.set(name, `${sidecar.url}/mcp/${name}`)
    }
    at = (name) => addresses.get(name) ?? ''
    grant = grants.get('fixture') ?? { grantId: '' }
  })
  const addresses = new Map<string, string>()
  afterAll(() => opened.disposeAsync())

  it.each(['2025-11-25', '2026-07-28'] as const)(
    'changes nothing of a server, by the suite for %s',
    async (revision) => {
      const known = Object.keys(gaps[revision])
      const { direct: wanted, differences } = await compare(direct, at('fixture'), revision, { known })
      expect(wanted.exitCode, wanted.summary).toBe(0)
      const others = Object.entries(differences).filter(([name]) => !Object.hasOwn(gaps[revision], name))
      expect(Object.fromEntries(others)).toEqual({})
      expect(Object.keys(differences).toSorted()).toEqual(Object.keys(gaps[revision]).toSorted())
    },
  )

  it('serves the inspector', async () => {
    const inspect = async (...args: string[]) => {
      const { out, err } = await runScript(judges.inspector(), ['--cli', at('fixture'), '--transport', 'http', ...args])
      return JSON.parse(out === '' ? JSON.stringify({ err }) : out)
    }
    const { tools } = await inspect('--method', 'tools/list')
    expect(tools.map(({ name }: { name: string }) => name)).toContain('test_simple_text')
    const answer = await inspect('--method', 'tools/call', '--tool-name', 'test_simple_text')
    expect(answer).toMatchObject({ content: [{ text: said }], 'x-bailiwick-unknown': { kept: [1, 'two', null] } })
  })

  const call = async (client: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) => {
    const { out, err } = await runScript(join(here, client), args, { env })
    return JSON.parse(out === '' ? JSON.stringify({ err }) : out)
  }

  it('serves a client of either SDK', async () => {
    const simple = { tools: expect.arrayContaining(['test_simple_text']), answer: { content: [{ text: said }] } }
    expect(await call('client-v1.mjs', [at('fixture'), 'test_simple_text'])).toMatchObject(simple)
    const newer = await call('client-v2.mjs', [at('fixture'), 'test_simple_text'])
    expect(newer).toMatchObject({ ...simple, version: '2026-07-28' })
  })

  /** `bailiwick agent mcp --listen`, under the grant. */
  const openPort = async () => {
    const { agent, system, url: gateway } = world
    if (!('grantId' in grant)) throw new Error('there is no grant')
    const options = { agent, gateway, server: 'fixture', publicUrl: system.url, grantId: grant.grantId }
    await using opening = new AsyncDisposableStack()
    const sidecar = opening.use(openSidecar({ ...options, random: systemRandom }))
    const { url } = opening.use(await listenLoopback(sidecar, { random: systemRandom }))
    const owned = opening.move()
    return { url, [Symbol.asyncDispose]: () => owned.disposeAsync() }
  }

  it.each(['2025-11-25', '2026-07-28'] as const)(
    'meets each requirement of %s at the port of `bailiwick agent mcp`, and what a server asks and resumes in it',
    async (revision) => {
      await using port = await openPort()
      const { exitCode, summary, scenarios } = await judge(port.url, revision)
      expect(exitCode, summary).toBe(0)
      if (revision === '2026-07-28') return
      // Not required of a server of this revision; the last one resumes a stream with `Last-Event-ID`.
      for (const name of ['tools-call-elicitation', 'tools-call-sampling', 'server-sse-polling']) {
        const checks = scenarios.get(name) ?? []
        expect(checks.length, name).toBeGreaterThan(0)
        expect(checks.filter(({ status }) => status === 'FAILURE')).toEqual([])
      }
    },
  )

  it('serves a client of either SDK at the port of `bailiwick agent mcp`, whose tools are in the list', async () => {
    await using port = await openPort()
    for (const client of ['client-v1.mjs', 'client-v2.mjs'])
      expect(await call(client, [port.url, 'test_simple_text'])).toMatchObject({
        tools: expect.arrayContaining(['test_simple_text', 'bailiwick_request_access']),
        answer: { content: [{ text: said }] },
      })
  })

  it('serves a client that authenticates by itself, with the DPoP of the newer SDK', async () => {
    const { token } = await world.agent.credential(grant)
    const KEY = JSON.stringify(exportPrivateKey(sampleKey(world.system.data, 'reconciler')))
    const own = await call('client-v2.mjs', [`${world.url}/mcp/fixture`, 'test_simple_text'], { TOKEN: token, KEY })
    expect(own).toMatchObject({ version: '2026-07-28', answer: { content: [{ text: said }] } })
  })

  it.each(['mcp', 'ai-sdk'])(
    'serves a client that acts as an agent by `mcpFetch`, until its task is withdrawn: %s',
    async (framework) => {
      const env = {
        ISSUER: world.system.url,
        INSTALLATION: world.system.trust.installation,
        AGENT: world.agent.id,
        KEY: `${join(world.system.data, 'sample')}:reconciler`,
      }
      const client = (of: string, ...tools: string[]) =>
        call('client-agent.mjs', [framework, `${world.url}/mcp/fixture`, of, ...tools], env)
      const { requestId, grantId } = await world.grant('fixture')
      expect(await client(grantId, 'test_simple_text', 'test_error_handling')).toMatchObject([
        { content: [{ text: said }] },
        { isError: true },
      ])
      const elsewhere = await world.grant('memory')
      expect(JSON.stringify(await client(elsewhere.grantId, 'test_simple_text'))).toContain('action_not_granted')
      await world.approver.withdraw(requestId)
      expect(JSON.stringify(await client(grantId, 'test_simple_text'))).toMatch(/access_request_refused|grant_revoked/)
    },
  )

  it.each([
    ['mcp-remote', judges.mcpRemote, (url: string) => [url, '--allow-http', '--transport', 'http-only']],
    ['supergateway', judges.supergateway, (url: string) => ['--streamableHttp', url, '--logLevel', 'none']],
  ])('serves a client behind %s', async (_, bridge, args) => {
    const command = JSON.stringify([bridge(), ...args(at('fixture'))])
    const answer = await call('client-v1.mjs', [command, 'test_simple_text'])
    expect(answer).toMatchObject({ answer: { content: [{ text: said }] } })
  })

  const entity = { name: 'Ada', entityType: 'person', observations: ['wrote a program'] }
  it.each([
    ['everything', 'echo', { message: 'hello' }, 'Echo: hello'],
    ['bridged', 'echo', { message: 'hello' }, 'Echo: hello'],
    ['memory', 'create_entities', { entities: [entity] }, 'wrote a program'],
    [
      'thinking',
      'sequentialthinking',
      { thought: 'one', nextThoughtNeeded: false, thoughtNumber: 1, totalThoughts: 1 },
      'thoughtNumber',
    ],
  ])('serves the reference server %s, which it starts, or supergateway does', async (server, tool, args, text) => {
    const { tools, answer } = await call('client-v1.mjs', [at(server), tool, JSON.stringify(args)])
    expect(tools).toContain(tool)
    expect(JSON.stringify(answer)).toContain(text)
  })

  it('serves a task of the reference server everything to a client of the older SDK', async () => {
    const args = ['simulate-research-query', JSON.stringify({ topic: 'gateways', ambiguous: false })]
    const { seen, isListed } = await call('client-v1-task.mjs', [at('everything'), ...args])
    expect(seen[0]).toBe('taskCreated')
    expect(seen).toContain('completed')
    expect(JSON.stringify(seen.at(-1))).toContain('Research Report: gateways')
    expect(isListed).toBe(true)
  })

  it('serves the reference server files, and no file outside its folder', async () => {
    const allowed = await call('client-v1.mjs', [at('files'), 'list_allowed_directories'])
    const [, folder = ''] = /\n(\/\S+)/.exec(allowed.answer.content[0].text) ?? []
    const read = (path: string) => call('client-v1.mjs', [at('files'), 'read_text_file', JSON.stringify({ path })])
    expect(await read(join(folder, 'note.txt'))).toMatchObject({ answer: { content: [{ text: 'a note\n' }] } })
    expect(await read('/etc/hostname')).toMatchObject({ answer: { isError: true } })
  })
})
