import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemRandom } from '@bailiwick/kit'
import { openSecrets } from '@bailiwick/relay'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Arrived, HttpFixture } from '../fixture/http-server.fixture.ts'
import { manifestHash, parseManifest } from '../manifest/manifest.ts'
import { type PlanRequest, planServer } from './plan-server.ts'

const stdioFixture = join(import.meta.dirname, '../fixture/stdio-server.fixture.ts')
const lasting = new AbortController().signal

let folder: string
let http: HttpFixture
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'plan-'))
  http = await HttpFixture.start()
})
afterEach(async () => {
  await http[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true, force: true })
})

const config = () => join(folder, 'gateway.yaml')
function plan(
  request: Partial<PlanRequest> = {},
  { env = {}, signal = lasting }: { env?: Record<string, string>; signal?: AbortSignal } = {},
) {
  const adapters = { random: systemRandom, env: { PATH: process.env.PATH, ...env }, signal }
  const asked = {
    name: 'billing',
    config: config(),
    entry: { url: http.url },
    registered: {},
    adding: true,
    timeoutSeconds: 30,
  }
  return planServer({ ...asked, ...request }, { ...adapters, secrets: openSecrets({ env }) })
}

/** Answers a method in another way, in whichever revision it is asked. */
function answering(
  method: string,
  answer: (response: ServerResponse, message: { id: unknown }, arrived: Arrived) => void,
): void {
  http.instead = (arrived, response) => {
    if (arrived.method !== 'POST') return false
    const message = JSON.parse(arrived.body)
    if (message.method !== method) return false
    answer(response, message, arrived)
    return true
  }
}
const result = (response: ServerResponse, id: unknown, value: object) =>
  response
    .writeHead(200, { 'content-type': 'application/json' })
    .end(JSON.stringify({ jsonrpc: '2.0', id, result: value }))

it('plans the entries of a server over HTTP, and writes nothing', async () => {
  const made = await plan()
  expect(made).toMatchObject({ era: 'modern', base: 'none', point: 'gateway', changes: [] })
  expect(made.entry).toMatchObject({ id: 'billing', url: http.url, manifest: made.manifest })
  expect(made.entry.tools).toMatchObject({
    read: { labels: ['reads_private', 'guessed'] },
    adjust: { labels: ['writes', 'guessed'], cost: { amount: '/amount', currency: '/currency' } },
    delete: { labels: ['destructive', 'writes', 'guessed'] },
    slow: { labels: ['unlabelled', 'guessed'] },
    'resources/read': { labels: ['reads_private', 'guessed'] },
    'prompts/get': { labels: ['guessed'] },
    'subscriptions/listen': { labels: ['guessed'] },
  })
  // The hash is that of the text which becomes the pin file.
  expect(manifestHash(parseManifest(JSON.parse(made.pin.text), 'it'))).toBe(made.manifest)
  expect(made.file?.after).toContain(`  billing:\n    url: ${http.url}\n    pin: billing.pin.json\n`)
  expect(existsSync(config())).toBe(false)
})

it('reads a server of the legacy era, and ends the session', async () => {
  answering('server/discover', (response) => response.writeHead(400).end())
  expect(await plan()).toMatchObject({ era: 'legacy' })
  expect(http.sessions.size).toBe(0)
})

it('reads a server with a command, and ends its process', async () => {
  const log = join(folder, 'log')
  const entry = { command: [process.execPath, stdioFixture], env: { FIXTURE_LOG: log } }
  const made = await plan({ entry, name: 'local' })
  expect(made.entry).toMatchObject({ url: 'stdio://local' })
  const pids = [...readFileSync(log, 'utf8').matchAll(/"pid":(\d+)/g)].map(([, pid]) => Number(pid))
  expect(pids.length).toBeGreaterThan(0)
  for (const pid of pids) await expect.poll(() => existsSync(`/proc/${pid}`)).toBe(false)
})

it('reads a list to its last page', async () => {
  answering('tools/list', (response, { id }, { body }) => {
    const page = Number(JSON.parse(body).params.cursor ?? 0)
    const tools = [{ name: `get_${page}`, inputSchema: {} }]
    result(response, id, { resultType: 'complete', tools, ...(page < 9 ? { nextCursor: String(page + 1) } : {}) })
  })
  const { entry } = await plan()
  expect(Object.keys(entry.tools).filter((name) => name.startsWith('get_'))).toHaveLength(10)
})

it('uses secrets by their references alone', async () => {
  const entry = { url: http.url, inject: { headers: { authorization: 'Bearer ${secret:env:T}' } } }
  const made = await plan({ entry }, { env: { T: 'a-secret-of-the-server' } })
  expect(http.arrived[0]?.rawHeaders).toContain('Bearer a-secret-of-the-server')
  expect(JSON.stringify(made)).not.toContain('a-secret-of-the-server')
})

describe('gateway.yaml', () => {
  const write = (text: string) => writeFileSync(config(), text)

  it('is left alone if it says the same, also with members that a person added', async () => {
    write(`mcp:\n  billing: { url: "${http.url}", denials: result }\n`)
    expect((await plan()).file).toBeUndefined()
    const { file, notes } = await plan({ entry: undefined })
    expect([file, notes]).toEqual([undefined, [expect.stringContaining('names no pin for billing')]])
  })

  it.each([
    ['another address', { url: 'http://127.0.0.1:1/mcp' }],
    ['a command', { command: ['x'] }],
    ['another secret', { url: 'URL', inject: { headers: { authorization: '${secret:env:OTHER}' } } }],
  ])('is not overwritten where the name stands for %s', async (_, other) => {
    write(JSON.stringify({ mcp: { billing: other } }).replace('URL', http.url))
    const entry = { url: http.url, inject: { headers: {} } }
    await expect(plan({ entry })).rejects.toMatchObject({
      code: 'config_invalid',
      detail: expect.stringContaining('not overwritten: choose another name'),
    })
    expect(http.arrived).toEqual([])
  })

  it.each([
    ['a name that is no name', { name: 'a/b' }, 'expected a name'],
    [
      'a header of the gateway',
      { entry: { url: 'http://h/', inject: { headers: { host: 'x' } } } },
      'made by the gateway',
    ],
    ['no entry at all', { entry: undefined }, 'does not exist'],
  ])('is not made with %s', async (_, request, said) => {
    await expect(plan(request)).rejects.toMatchObject({ code: 'config_invalid', detail: expect.stringContaining(said) })
  })

  it('does not take another tool server of the registry for this one', async () => {
    const { entry } = await plan()
    const registered = { billing: { ...entry, url: 'https://elsewhere.example/' } }
    await expect(plan({ registered })).rejects.toMatchObject({ detail: expect.stringContaining('another name') })
  })
})

describe('compared with what people approved', () => {
  it('says what changed, from the pin or from a proposal that was approved since', async () => {
    const first = await plan()
    writeFileSync(config(), first.file?.after ?? '')
    writeFileSync(first.pin.path, first.pin.text)
    const registered = { billing: first.entry }
    expect(await plan({ entry: undefined, registered })).toMatchObject({ base: 'pin', changes: [] })
    const [read] = http.state.tools
    if (read !== undefined) read.description = 'Reads everything.'
    const changed = await plan({ entry: undefined, registered })
    expect(changed.changes).toEqual([
      {
        kind: 'tools',
        name: 'read',
        change: 'changed',
        differences: [{ pointer: '/description', before: 'Reads an invoice.', after: 'Reads everything.' }],
      },
    ])
    writeFileSync(changed.pin.next, changed.pin.text)
    expect(await plan({ entry: undefined, registered })).toMatchObject({ base: 'pin' })
    const approved = { billing: changed.entry }
    expect(await plan({ entry: undefined, registered: approved })).toMatchObject({ base: 'next', changes: [] })
    const other = { billing: { ...first.entry, manifest: 'A'.repeat(43) } }
    expect(await plan({ entry: undefined, registered: other })).toMatchObject({ base: 'none', changes: [] })
  })
})

describe('a hostile server', () => {
  const tool = (name: string) => ({ name, description: 'x', inputSchema: { type: 'object' } })

  it('has 10,000 tools: it is refused', async () => {
    answering('tools/list', (response, { id }) =>
      result(response, id, { resultType: 'complete', tools: Array.from({ length: 10_000 }, (_, n) => tool(`t${n}`)) }),
    )
    await expect(plan()).rejects.toMatchObject({ code: 'answer_malformed', detail: expect.stringContaining('4096') })
  })

  it('describes itself in more than a person can review: it is refused', async () => {
    answering('tools/list', (response, { id }) =>
      result(response, id, { resultType: 'complete', tools: [{ ...tool('t'), description: 'x'.repeat(5_000_000) }] }),
    )
    await expect(plan()).rejects.toMatchObject({ code: 'answer_malformed', detail: expect.stringContaining('4 MiB') })
  })

  it('answers 1 GB: it is cut at the limit', async () => {
    let sent = 0
    answering('tools/list', (response, { id }) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.write(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":{"tools":[],"x":"`)
      const chunk = 'x'.repeat(1_000_000)
      const more = () => {
        while (!response.destroyed && sent < 1_000_000_000) {
          sent += chunk.length
          if (!response.write(chunk)) return void response.once('drain', more)
        }
        response.end('"}}')
      }
      more()
    })
    await expect(plan()).rejects.toMatchObject({ code: 'upstream_too_large' })
    expect(sent).toBeLessThan(100_000_000)
  })

  it('writes without end on its standard output: it is killed at the limit', async () => {
    const endless = 'const f=()=>{while(process.stdout.write("x".repeat(1e6)));process.stdout.once("drain",f)};f()'
    const made = plan({ entry: { command: [process.execPath, '-e', endless] } })
    await expect(made).rejects.toMatchObject({ code: 'upstream_failed' })
  })

  it('never answers: the wait ends, and says so', async () => {
    http.instead = () => true
    await expect(plan({ timeoutSeconds: 1 })).rejects.toMatchObject({
      code: 'upstream_timed_out',
      detail: expect.stringContaining('no answer within 1 s; --timeout'),
    })
  })

  it('gives pages without end, each in time: the wait ends all the same', async () => {
    let n = 0
    answering('tools/list', (response, { id }) =>
      setTimeout(
        () => result(response, id, { resultType: 'complete', tools: [tool(`t${++n}`)], nextCursor: `${n}` }),
        50,
      ),
    )
    await expect(plan({ timeoutSeconds: 1 })).rejects.toMatchObject({ code: 'upstream_timed_out' })
  })

  it('is left by a person who does not wait: its process ends too', async () => {
    const log = join(folder, 'pid')
    const silent = `require('node:fs').writeFileSync(${JSON.stringify(log)}, String(process.pid)); setInterval(() => 0, 1000)`
    const stopping = new AbortController()
    const made = plan({ entry: { command: [process.execPath, '-e', silent] } }, { signal: stopping.signal })
    const failed = expect(made).rejects.toThrow('gone')
    await expect.poll(() => existsSync(log) && readFileSync(log, 'utf8')).toBeTruthy()
    stopping.abort(new Error('gone'))
    await failed
    await expect.poll(() => existsSync(`/proc/${readFileSync(log, 'utf8')}`)).toBe(false)
  })

  it('names tools that collide, look alike, or are the gateway’s: each gets a note', async () => {
    const names = ['pay', 'PAY', 'bailiwick_request_access', 'p\u0430y', 'list_1', 'list-l']
    answering('tools/list', (response, { id }) =>
      result(response, id, { resultType: 'complete', tools: names.map(tool) }),
    )
    const { entry, notes } = await plan()
    expect(Object.keys(entry.tools).filter((name) => !name.includes('/'))).toEqual(['list_1', 'list-l'])
    expect(notes).toHaveLength(5)
  })

  it('names a tool twice: it is refused', async () => {
    answering('tools/list', (response, { id }) =>
      result(response, id, { resultType: 'complete', tools: [tool('a'), tool('a')] }),
    )
    await expect(plan()).rejects.toMatchObject({ code: 'answer_malformed' })
  })

  it('redirects: it is not followed', async () => {
    http.instead = (_, response) => {
      response.writeHead(307, { location: 'http://169.254.169.254/' }).end()
      return true
    }
    await expect(plan()).rejects.toMatchObject({ code: 'upstream_redirected' })
  })

  it('complains on its standard error: the failure repeats the words', async () => {
    const command = [process.execPath, '-e', 'console.error("no such folder /srv"); process.exit(1)']
    await expect(plan({ entry: { command } })).rejects.toMatchObject({
      code: 'upstream_failed',
      detail: expect.stringContaining('standard error:\nno such folder /srv'),
    })
  })
})
