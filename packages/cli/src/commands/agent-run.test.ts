import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { PassThrough } from 'node:stream'
import { generateKey, writeKeyFile } from '@bailiwick/credentials'
import { seededRandom, testClock } from '@bailiwick/kit'
import { describe, expect, it } from 'vitest'
import { installation } from '../installation.fixture.ts'
import { bailiwick, type Folder, temporaryFolder } from '../io.fixture.ts'
import { hook } from './agent-hook.ts'

const id = 'spiffe://bailiwick.local/agent/reconciler/i1'

function place(folder: Folder): string[] {
  installation(folder, 'http://localhost:8420')
  writeKeyFile(folder.path, 'agent', generateKey('agent'))
  return ['--gateway', 'http://localhost:8425', '--agent', id, '--key', folder.at('agent.json'), '--data', folder.path]
}

describe('agent run', () => {
  it.each<[string, string[], string]>([
    ['no program', ['--mcp', 'notes', '--grant', 'grt_1'], 'name the program after --'],
    ['nothing to reach', ['--grant', 'grt_1', '--', 'true'], '--mcp, --http'],
    ['a task that is not there', ['--mcp', 'n', '--grant', 'grt_1', '--task', 'x', '--', 'true'], '--task'],
    ['neither a task nor a grant', ['--mcp', 'notes', '--', 'true'], 'give --task or --grant'],
    ['an address that is none', ['--http', 'erp=10.0.0.1', '--grant', 'g', '--', 'true'], '--http: 10.0.0.1'],
    ['a name that no entry has', ['--mcp', '../x', '--grant', 'grt_1', '--', 'true'], 'no name of an entry'],
    ['two names of one variable', ['--http', 'a-b', '--http', 'a_b', '--grant', 'g', '--', 'true'], 'two entries'],
    [
      'a key to pass on',
      ['--mcp', 'n', '--grant', 'g', '--keep-env', 'BAILIWICK_DATA', '--', 'true'],
      'never passed on',
    ],
    ['a program that is not there', ['--mcp', 'n', '--grant', 'g', '--', 'codxe'], 'codxe is no program'],
    ['its own folder to hide', ['--mcp', 'n', '--grant', 'g', '--hide', '.', '--', 'true'], 'outside of it'],
  ])('refuses %s before it asks or starts anything', async (_, words, said) => {
    using folder = temporaryFolder()
    const { code, err, out } = await bailiwick(['agent', 'run', ...place(folder), ...words])
    expect([code, out], err).toEqual([2, ''])
    expect(err).toContain(said)
  })

  it('prints entries that start agent connect, and no address and no key', async () => {
    using folder = temporaryFolder()
    const words = ['--mcp', 'notes', '--mcp', 'erp-eu', '--print-config', 'claude']
    const { code, out } = await bailiwick(['agent', 'run', ...place(folder), ...words])
    expect(code).toBe(0)
    const { mcpServers } = JSON.parse(out)
    expect(mcpServers['erp-eu']).toMatchObject({ env: { BAILIWICK_MCP_ERP_EU: `\${${'BAILIWICK_MCP_ERP_EU'}}` } })
    expect(mcpServers.notes.args.slice(1)).toEqual(['agent', 'connect', 'notes'])
    expect(out).not.toContain('agent.json')
  })
})

describe('agent run --print-hook', () => {
  it('prints a hook of a server that the program reaches', async () => {
    using folder = temporaryFolder()
    const words = ['agent', 'run', ...place(folder), '--mcp', 'permit', '--print-hook']
    const { code, out } = await bailiwick([...words, 'permit'])
    expect(code).toBe(0)
    const [{ hooks }] = JSON.parse(out).hooks.PreToolUse
    expect(hooks[0].command).toMatch(/^\/.* agent hook permit$/)
    expect((await bailiwick([...words, 'other'])).code).toBe(2)
  })
})

describe('agent mcp --print-config', () => {
  it('prints the same command with absolute paths, so that a client starts it in any folder', async () => {
    using folder = temporaryFolder()
    const words = ['--server', 'notes', '--hold-seconds', '55', '--print-config', 'vscode']
    const { code, out } = await bailiwick(['agent', 'mcp', ...place(folder), ...words])
    expect(code).toBe(0)
    const { servers } = JSON.parse(out)
    expect(servers.notes.type).toBe('stdio')
    expect(servers.notes.args.slice(1)).toEqual([
      ...['agent', 'mcp', '--gateway', 'http://localhost:8425', '--server', 'notes', '--agent', id],
      ...['--key', folder.at('agent.json'), '--data', folder.path, '--hold-seconds', '55', '--revision', '2025-11-25'],
    ])
  })

  it('passes on where the secret of an encrypted key is', async () => {
    using folder = temporaryFolder()
    installation(folder, 'http://localhost:8420')
    const secret = 'a secret of more than thirty-two characters'
    writeFileSync(folder.at('secret'), secret, { mode: 0o600 })
    writeKeyFile(folder.path, 'agent', generateKey('agent'), secret)
    const where = ['--gateway', 'http://localhost:8425', '--agent', id, '--key', folder.at('agent.json')]
    const words = [...where, '--data', folder.path, '--server', 'notes', '--print-config', 'codex']
    const env = { BAILIWICK_KEYS_SECRET_FILE: folder.at('secret') }
    const { code, out, err } = await bailiwick(['agent', 'mcp', ...words], { env })
    expect([code, err]).toEqual([0, ''])
    expect(out).toContain('env_vars = ["BAILIWICK_KEYS_SECRET_FILE"]')
  })
})

describe('agent connect', () => {
  it('says that it runs inside agent run', async () => {
    const { code, err } = await bailiwick(['agent', 'connect', 'notes'])
    expect(code).toBe(2)
    expect(err).toContain('BAILIWICK_MCP_NOTES is not set')
  })
})

describe('agent hook', () => {
  const event = (more: object = {}) =>
    JSON.stringify({ hook_event_name: 'PreToolUse', tool_name: 'Bash', tool_input: { command: 'ls' }, ...more })
  const input = async function* (text: string) {
    yield Buffer.from(text)
  }
  const run = (text: string, env: Record<string, string>) =>
    bailiwick(['agent', 'hook', 'permit'], { input: input(text), env })

  it.each<[string, string, Record<string, string>]>([
    ['outside of agent run', event(), {}],
    ['for no event', '{}', { BAILIWICK_MCP_PERMIT: 'http://127.0.0.1:1/x' }],
    ['for what is not JSON', 'x', { BAILIWICK_MCP_PERMIT: 'http://127.0.0.1:1/x' }],
    [
      'for a tool with another form of name',
      event({ tool_name: 'a b' }),
      { BAILIWICK_MCP_PERMIT: 'http://127.0.0.1:1/x' },
    ],
    ['where nothing answers', event(), { BAILIWICK_MCP_PERMIT: 'http://127.0.0.1:1/x' }],
  ])('lets no call pass %s: it ends with 2 and a reason (V13)', async (_, text, env) => {
    const { code, err } = await run(text, env)
    expect([code, err]).toEqual([2, expect.stringContaining('could not be decided')])
  })

  it('ends with 2 before its client goes on without it, if nothing answers or the client says nothing (V13)', async () => {
    const silent = createServer().listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const { port } = silent.address() as AddressInfo
    const env = { BAILIWICK_MCP_PERMIT: `http://127.0.0.1:${port}/x` }
    const err: string[] = []
    const io = {
      out: () => undefined,
      err: (line: string) => void err.push(line),
      env,
      clock: testClock(),
      random: seededRandom(7),
    }
    expect(await hook('permit', { ...io, input: input(event()) }, 200)).toBe(2)
    const open = new PassThrough()
    expect(await hook('permit', { ...io, input: open }, 200)).toBe(2)
    expect([open.destroyed, err.length]).toEqual([true, 2])
    expect(err.join()).toContain('deadline_exceeded')
    silent.closeAllConnections()
    silent.close()
  })

  it('lets the tools of a server of agent run pass: the gateway decides them when they are called', async () => {
    const env = { BAILIWICK_MCP_NOTES: 'http://127.0.0.1:1/x', BAILIWICK_MCP_PERMIT: 'http://127.0.0.1:1/x' }
    expect((await run(event({ tool_name: 'mcp__notes__read_note' }), env)).code).toBe(0)
    expect((await run(event({ tool_name: 'mcp__others__read_note' }), env)).code).toBe(2)
  })
})
