import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { readKeyFile, thumbprint } from '@bailiwick/credentials'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { changeLines } from '../gateway/lines.ts'
import { mcpServer, type Said } from '../gateway/mcp-server.fixture.ts'
import { bailiwick, type Folder, temporaryFolder } from '../io.fixture.ts'
import { type Answering, operatorAt } from '../operator.fixture.ts'

const approve_at = 'http://localhost:8420/console'
type Value = { id: string } & Record<string, unknown>
type Change = { type: string; id: string; value: Value }

let folder: Folder
let said: Said
let server: Awaited<ReturnType<typeof mcpServer>>
/** The registry, as a list that a test changes. */
let registry: Change[]
let operator: Awaited<ReturnType<typeof operatorAt>>

const read = () => ({ name: 'read', description: 'Reads an invoice.', inputSchema: { type: 'object' } })
const wipe = { name: 'wipe', description: 'Wipes.', inputSchema: { type: 'object' } }

beforeEach(async () => {
  folder = temporaryFolder()
  said = { tools: [read(), wipe] }
  server = await mcpServer(said)
  registry = []
  const answer: Answering = ({ method, path }) => {
    if (method === 'POST') return { body: { request_id: 'req_1', approve_at } }
    if (path === '/operator/registry')
      return { body: { enrolled: true, entities: registry.map((each) => ({ ...each, version: 1 })) } }
    const times = { received_at: null, expires_at: null }
    return { body: { id: 'req_1', state: 'approved', kind: 'registry', from: 'operator', ...times, endorsements: 0 } }
  }
  operator = await operatorAt(folder.path, answer)
})
afterEach(async () => {
  await operator[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
  folder[Symbol.dispose]()
})

const environment = { PATH: process.env.PATH, NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE }
const config = () => folder.at('gateway.yaml')
const gateway = (...words: string[]) => {
  const [options, command] = words.includes('--')
    ? [words.slice(0, words.indexOf('--')), words.slice(words.indexOf('--'))]
    : [words, []]
  return bailiwick(['gateway', ...options, '--config', config(), '--data', folder.path, ...command], {
    env: environment,
  })
}
const add = (...words: string[]) => gateway('add', 'mcp', 'billing', '--url', server.url, ...words)
const proposed = () =>
  operator.calls
    .filter(({ method }) => method === 'POST')
    .map(({ body }) => body as { proposer: string; entities: Change[] })
/** People approve what was proposed last. */
const approve = () => {
  for (const change of proposed().at(-1)?.entities ?? [])
    registry = [...registry.filter(({ type, id }) => type !== change.type || id !== change.id), change]
}

// Each command that reads a server starts a process, so the tests are few, each with several steps.
describe('gateway add', () => {
  it('shows everything, writes the file, the keys and the pin, and proposes both entries; again and for a second server', async () => {
    const { code, out } = await add('--public-url', 'https://gw.example')
    expect(code).toBe(0)
    for (const line of [
      `+ file ${config()}`,
      '    +   billing:',
      `    +     url: ${server.url}`,
      '    +     pin: billing.pin.json',
      '+ tool-server billing',
      '    wipe: destructive, writes, guessed (the name says "wipe")',
      '+ enforcement-point gateway',
      `Proposed as req_1. It holds once it is approved with a passkey at ${approve_at}`,
      `Then run it: bailiwick serve gateway --config ${config()} --data ${folder.path}`,
    ])
      expect(out.split('\n')).toContain(line)
    const [tools, point] = proposed()[0]?.entities ?? []
    expect(tools).toMatchObject({
      type: 'tool-server',
      id: 'billing',
      value: { url: server.url, tools: { read: { labels: ['reads_private', 'guessed'] } } },
    })
    expect(point).toMatchObject({
      id: 'gateway',
      value: {
        resources: [{ type: 'tool', id_prefix: 'billing/' }],
        base_urls: ['https://gw.example/mcp/billing'],
        may_release: false,
      },
    })
    const key = readKeyFile(folder.at('keys'), 'gateway-caller', 'pep-caller')
    expect(thumbprint(point?.value.caller_jwk as never)).toBe(key.kid)
    expect(statSync(folder.at('keys', 'gateway-outcome.json')).mode & 0o777).toBe(0o600)
    expect(existsSync(folder.at('billing.pin.json'))).toBe(true)

    // A second run before the approval gives the same keys, the same file and the same proposal.
    const [file, keys] = [readFileSync(config(), 'utf8'), readdirSync(folder.at('keys'))]
    const again = await add('--public-url', 'https://gw.example', '--json')
    expect(JSON.parse(again.out)).toMatchObject({
      request_id: 'req_1',
      approve_at,
      era: 'modern',
      file: null,
      guesses: [{ tool: 'read', labels: ['reads_private', 'guessed'] }, { tool: 'wipe' }],
      diff: [{ type: 'tool-server', verb: 'register' }, { type: 'enforcement-point' }],
    })
    expect([readFileSync(config(), 'utf8'), readdirSync(folder.at('keys'))]).toEqual([file, keys])
    expect(proposed()[1]).toEqual(proposed()[0])

    approve()
    const approved = await gateway('add', 'mcp', 'billing')
    expect(approved.out).toContain('The registry has billing as it is.')
    expect(proposed()).toHaveLength(2)

    await gateway('add', 'mcp', 'other', '--url', server.url)
    expect(proposed().at(-1)?.entities[1]?.value).toMatchObject({
      resources: [{ id_prefix: 'billing/' }, { id_prefix: 'other/' }],
      base_urls: ['https://gw.example/mcp/billing', 'https://gw.example/mcp/other'],
      caller_jwk: point?.value.caller_jwk,
    })
    expect(readFileSync(config(), 'utf8')).toMatch(/ {2}billing:\n.*\n.*\n {2}other:\n/)

    // New keys would lock out the gateway that people approved.
    rmSync(folder.at('keys', 'gateway-outcome.json'))
    const { code: refused, err } = await gateway('add', 'mcp', 'third', '--url', server.url)
    expect([refused, err]).toEqual([2, expect.stringContaining('bring the file here')])
    expect(readFileSync(config(), 'utf8')).not.toContain('third')
  })

  it('writes and proposes nothing on a dry run', async () => {
    const { code, out } = await add('--dry-run')
    expect([code, out.split('\n').at(-1)]).toEqual([0, 'Nothing was written nor proposed (--dry-run).'])
    expect(readdirSync(folder.path)).toEqual(['operator.sock'])
    expect(proposed()).toEqual([])
  })

  it('lets no control character of a server reach the terminal', async () => {
    const evil = '\u001b]0;owned\u0007\u001b[2J\u202eevil\u200b'
    said.tools = [
      { name: evil, description: evil },
      { ...read(), description: evil, title: evil },
    ]
    said.instructions = evil
    const shown = [await add()]
    approve()
    said.tools = [{ ...read(), description: `${evil}${evil}`, [evil]: evil }]
    shown.push(await gateway('diff', 'billing'), await gateway('diff', 'billing', '--json'))
    said.tools.push({ name: evil })
    shown.push(await bailiwick(['gateway', 'pin', 'billing', '--config', config()], { env: environment }))
    const broken = `process.stderr.write(${JSON.stringify(evil)}); process.exit(1)`
    shown.push(await gateway('add', 'mcp', 'broken', '--', process.execPath, '-e', broken))
    for (const { out, err } of shown) expect(out + err).not.toMatch(/[^\P{C}\n]/u)
    expect(shown.map(({ code }) => code)).toEqual([0, 1, 1, 0, 2])
    for (const at of [0, 1, 2, 3, 4]) expect(`${shown[at]?.out}${shown[at]?.err}`).toContain('\\u001b]0;owned')
  })

  it.each([
    ['both an address and a command', ['--', 'node'], 'and not both'],
    ['a variable of a server that has no process', ['--env', 'A=1'], 'with a command alone'],
    ['a secret in words', ['--header', 'authorization=Bearer abc'], `say 'authorization=\${secret:file:/path}'`],
    ['a header without a value', ['--header', 'x'], 'expected NAME=VALUE'],
    ['a time that is none', ['--timeout', '0'], 'A whole number from 1'],
  ])('refuses %s, and reads no server', async (_, words, why) => {
    const { code, err } = await add(...words)
    expect([code, err]).toEqual([2, expect.stringContaining(why)])
    expect(server.asked).toEqual([])
    expect(existsSync(config())).toBe(false)
  })

  it('overwrites no server of the file', async () => {
    writeFileSync(config(), 'mcp: { billing: { url: "http://127.0.0.1:1/mcp" } } # mine\n')
    const { code, err } = await add()
    expect([code, err]).toEqual([2, expect.stringContaining('not overwritten: choose another name')])
    expect(readFileSync(config(), 'utf8')).toContain('# mine')
  })

  it('says that nothing runs', async () => {
    await operator[Symbol.asyncDispose]()
    const { code, err } = await add()
    expect([code, err]).toEqual([2, expect.stringContaining('service_unready')])
    expect(existsSync(config())).toBe(false)
  })
})

describe('gateway diff', () => {
  it('compares with what people approved, by place, proposes with their labels, and keeps the old pin until they answer', async () => {
    await add()
    approve()
    const same = await gateway('diff', 'billing')
    expect([same.code, same.out]).toEqual([0, expect.stringContaining('billing is as people approved it')])

    const [entry] = registry
    const tools = { read: { labels: ['fine'] }, wipe: { labels: ['destructive'] } }
    registry[0] = { ...entry, value: { ...entry?.value, tools } } as Change
    said.tools = [
      { ...read(), description: 'Reads any invoice.', inputSchema: { type: 'object', properties: { id: {} } } },
      { name: 'send_all', inputSchema: {} },
    ]
    const { code, out } = await gateway('diff', 'billing')
    expect(code).toBe(1)
    const lines = out.split('\n')
    expect(lines[0]).toMatch(/^billing differs from what people approved: manifest .{43} becomes .{43}$/)
    expect(lines.slice(1, -1)).toEqual([
      '~ tool "read"',
      '    /description: "Reads an invoice." becomes "Reads any invoice."',
      '    /inputSchema/properties: {"id":{}}',
      '+ tool "send_all"',
      '    (all): {"name":"send_all","inputSchema":{}}',
      '- tool "wipe"',
      '    (all): {"name":"wipe","description":"Wipes.","inputSchema":{"type":"object"}} is removed',
      'GUESSED labels: check them, a guess was never tried. The label `guessed` marks them until you take it away.',
      '    send_all: external_send, writes, guessed (the name says "send")',
    ])
    const before = readFileSync(folder.at('billing.pin.json'), 'utf8')
    const dry = await gateway('diff', 'billing', '--propose', '--dry-run')
    expect([dry.code, proposed().length, existsSync(folder.at('billing.pin.next.json'))]).toEqual([0, 1, false])

    const made = await gateway('diff', 'billing', '--propose', '--proposer', 'olga')
    expect([made.code, made.out]).toEqual([0, expect.stringContaining('Proposed as req_1.')])
    expect(proposed().at(-1)).toMatchObject({ proposer: 'olga', entities: [{ type: 'tool-server', id: 'billing' }] })
    expect(proposed().at(-1)?.entities[0]?.value.tools).toEqual({
      read: { labels: ['fine'] },
      send_all: { labels: ['external_send', 'writes', 'guessed'] },
    })
    expect(readFileSync(folder.at('billing.pin.json'), 'utf8')).toBe(before)

    approve()
    const then = await gateway('diff', 'billing')
    expect([then.code, then.out]).toEqual([0, expect.stringContaining('What people approved is now in')])
    expect(readFileSync(folder.at('billing.pin.json'), 'utf8')).toContain('Reads any invoice.')
    expect(existsSync(folder.at('billing.pin.next.json'))).toBe(false)
  })

  it('says what it cannot tell, and what to do', async () => {
    await add()
    const unknown = await gateway('diff', 'billing')
    expect([unknown.code, unknown.err]).toEqual([2, expect.stringContaining('gateway add mcp billing')])
    const missing = await gateway('diff', 'other')
    expect([missing.code, missing.err]).toEqual([2, expect.stringContaining('there is no server other')])
    approve()
    // A lost pin is written anew from what the server says, if people approved exactly that.
    const pin = folder.at('billing.pin.json')
    const approved = readFileSync(pin, 'utf8')
    rmSync(pin)
    const found = await gateway('diff', 'billing')
    expect([found.code, found.out]).toEqual([0, expect.stringContaining('What people approved is now in')])
    expect(readFileSync(pin, 'utf8')).toBe(approved)
    writeFileSync(pin, approved.replace('Wipes.', 'Else.'))
    said.tools = []
    const { code, out } = await gateway('diff', 'billing')
    expect([code, out]).toEqual([1, expect.stringContaining('cannot say in which words')])
  })
})

it('shows the part of a long description that changed', () => {
  const long = 'x'.repeat(3000)
  const difference = {
    pointer: '/description',
    before: `${long} a ${long}`,
    after: `${long} and do not say so ${long}`,
  }
  const [, line] = changeLines([{ kind: 'tools', name: 'read', change: 'changed', differences: [difference] }])
  expect(line).toMatch(/\/description: …x{38} a x+… \(6\d\d\d characters\) becomes …x{38} and do not say so x+…/)
})
