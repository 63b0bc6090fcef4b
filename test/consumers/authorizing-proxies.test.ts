import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Agent } from '@bailiwick/agent'
import { readGatewayFile } from '@bailiwick/gateway/file'
import { findProgram } from '@bailiwick/native'
import { type Arrived, RawServer, whole } from '@bailiwick/relay/raw-server'
import { freePort } from '@bailiwick/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { exchangeRaw, RawAgent } from '../abuse/raw-request.ts'
import { eventually } from '../abuse/scene.ts'
import { GatewayWorld, mostTries, passing, proxySecret } from '../e2e/gateway-world.ts'
import { missingPrograms, pythonWithPackages } from './programs.ts'

// The configurations in examples/authorizing-proxies, each run by the real program. Only ports and the folder of secrets are replaced.

const example = join(import.meta.dirname, '../../examples/authorizing-proxies')
const kinds = ['nginx', 'caddy', 'envoy', 'envoy-grpc'] as const
type Kind = (typeof kinds)[number]
/** Debian has nginx and caddy, and `pip` brings Envoy. With CI=true the suite runs anyway, and fails. */
const left =
  process.env.CI !== 'true' &&
  (missingPrograms().some((program) => program.startsWith('python3')) ||
    ['nginx', 'caddy'].some((program) => findProgram(program) === undefined))
const configurations: Record<Kind, string> = {
  ...{ nginx: 'nginx.conf', caddy: 'Caddyfile' },
  ...{ envoy: 'envoy.yaml', 'envoy-grpc': 'envoy-grpc.yaml' },
}
/** The ports in the files, and what stands there. */
const filePorts = { nginx: 8080, caddy: 8081, envoy: 8082, 'envoy-grpc': 8083, gateway: 8425, grpc: 8426, api: 3001 }

const tools = {
  read_invoice: { labels: [] },
  create_invoice: { labels: ['writes'] },
  search: { labels: [] },
}
const authority = {
  type: 'bailiwick_task',
  task: 'reconcile-behind-proxies',
  permissions: kinds.flatMap((kind) => [
    ...['read_invoice', 'search'].map((tool) => ({
      actions: ['tools/call'],
      resource: { type: 'tool', id: `behind-${kind}/${tool}` },
    })),
    {
      actions: ['tools/call'],
      resource: { type: 'tool', id: `behind-${kind}/create_invoice` },
      where: { '/amount': { max: '500' } },
    },
  ]),
  budget: { calls: 500 },
  max_depth: 0,
  max_children: 0,
}

const opened = new AsyncDisposableStack()
const ports = {} as Record<Kind, number>
let api: RawServer
let world: GatewayWorld
let agent: Agent
let grantId: string
let rawAgent: RawAgent

beforeAll(async () => {
  api = opened.use(await RawServer.start(({ socket }: Arrived) => void socket.write(whole('{"id":"4711"}'))))
  for (const kind of kinds) ports[kind] = await freePort()
  const { authorize } = readGatewayFile(join(example, 'gateway.yaml'))
  const entries = kinds.map((kind): [string, { entry: { url: string; address: string }; tools: typeof tools }] => {
    const { proxy, body, log_seconds, operations = {} } = authorize[`behind-${kind}`] ?? expect.fail(kind)
    const written = Object.entries(operations).map(([name, { request, ...more }]) => [
      name,
      { request: request.text, ...more },
    ])
    const own = { url: api.url, address: address(kind), secret: `\${secret:env:PROXY_SECRET}` }
    const entry = { ...own, proxy, body, log_seconds, operations: Object.fromEntries(written) }
    return [`behind-${kind}`, { entry, tools }]
  })
  world = opened.use(await GatewayWorld.open({ grpc: true, authorize: Object.fromEntries(entries) }))
  ;({ grantId } = await world.granted(authority))
  agent = world.agent()
  rawAgent = await RawAgent.open(world, grantId)
  const folder = mkdtempSync(join(tmpdir(), 'authorizing-proxies-'))
  opened.defer(() => rmSync(folder, { recursive: true, force: true }))
  for (const kind of kinds) opened.use(await started(kind, folder))
})
afterAll(() => opened.disposeAsync())

const address = (kind: Kind) => `http://localhost:${ports[kind]}`

/** The program with its file of the example, once it answers. */
async function started(kind: Kind, folder: string): Promise<AsyncDisposable> {
  cpSync(example, folder, { recursive: true })
  mkdirSync(join(folder, 'temp'), { recursive: true })
  writeFileSync(join(folder, 'proxy-secret.conf'), `proxy_set_header Bailiwick-Proxy "${proxySecret}";\n`)
  const file = join(folder, configurations[kind])
  const [gateway, grpc] = [world.url, world.gateway.grpcUrl ?? ''].map((url) => Number(new URL(url).port))
  const used = { [kind]: ports[kind], gateway, grpc, api: api.port }
  let text = readFileSync(file, 'utf8')
  for (const [name, port] of Object.entries(used))
    text = text.replaceAll(new RegExp(`\\b${filePorts[name as keyof typeof filePorts]}\\b`, 'g'), String(port))
  writeFileSync(file, text)
  const child = await begun(kind, file, folder)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (part) => (output += part))
  const ended = once(child, 'exit')
  let isOver = false
  void ended.finally(() => (isOver = true))
  await eventually(`${kind} answers`, async () => {
    if (isOver) throw new Error(`${kind} ended: ${output}`)
    return fetch(address(kind)).then(
      ({ status }) => status,
      () => undefined,
    )
  })
  return {
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM')
      await ended
    },
  }
}

async function begun(kind: Kind, file: string, folder: string): Promise<ChildProcess> {
  const env = { PATH: process.env.PATH, HOME: folder, PROXY_SECRET: proxySecret }
  const options = { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] as ('ignore' | 'pipe')[] }
  if (kind === 'caddy') return spawn('caddy', ['run', '--config', file, '--adapter', 'caddyfile'], options)
  // As root, workers would be another user, which cannot write below this folder.
  if (kind === 'nginx') return spawn('nginx', ['-p', folder, '-c', file, '-g', 'daemon off; user root;'], options)
  const envoy = join(dirname(await pythonWithPackages(example)), 'envoy')
  const quiet = ['--concurrency', '1', '--disable-hot-restart', '--log-level', 'warning']
  return spawn(envoy, ['-c', file, ...quiet], options)
}

interface Call {
  method?: string
  path: string
  body?: string
  headers?: Record<string, string>
}

/** What comes back, once a busy machine does not keep it from being decided; and how many requests reached the API. */
async function call(kind: Kind, { method = 'GET', path, body, headers = {} }: Call) {
  const typed = body === undefined ? {} : { body, headers: { 'content-type': 'application/json', ...headers } }
  for (let tries = 1; ; tries++) {
    const before = api.arrived.length
    const init = { method, headers, ...typed }
    const response = await agent.fetch(`${address(kind)}${path}`, init, { grant: { grantId }, patienceMs: 0 })
    const denied = response.headers.get('bailiwick-denied') ?? undefined
    await response.body?.cancel()
    if (!passing.has(denied) || tries === mostTries)
      return { status: response.status, denied, headers: response.headers, arrived: api.arrived.slice(before) }
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}

describe.skipIf(left).each(kinds)('%s', (kind) => {
  it('sends on what the grant allows, byte for byte, without anything that the agent proves', async () => {
    const headers = { cookie: 'a=b', 'x-other': '1', 'x-forwarded-user': 'admin', 'user-agent': 'an-agent' }
    const read = await call(kind, { path: '/invoices/4711', headers })
    expect(read).toMatchObject({ status: 200, arrived: [{ target: '/invoices/4711' }] })
    const search = await call(kind, { method: 'POST', path: '/search', body: ' {"q": "\\u0061"}', headers })
    expect(search).toMatchObject({ status: 200, arrived: [{ target: '/search', body: ' {"q": "\\u0061"}' }] })
    for (const { head } of [...read.arrived, ...search.arrived]) {
      expect(head).toMatch(/^bailiwick-decision-id: dec_/im)
      const names = head
        .split('\r\n')
        .slice(1)
        .map((line) => line.split(':')[0]?.toLowerCase())
      const harmless = [
        'host',
        'accept',
        'accept-encoding',
        'accept-language',
        'content-type',
        'content-length',
        'connection',
        'bailiwick-decision-id',
      ]
      expect(names.filter((name) => name !== '' && !harmless.includes(name ?? ''))).toEqual([])
    }
    expect(search.arrived[0]?.head).toMatch(/^content-type: application\/json\r$/im)
  })

  it('sends nothing on that the grant does not allow, and says why', async () => {
    expect(await call(kind, { path: '/users' })).toMatchObject({
      status: 403,
      denied: 'operation_unmapped',
      arrived: [],
    })
    const create = (amount: number): Call => ({
      ...{ method: 'POST', path: '/invoices' },
      body: JSON.stringify({ amount, currency: 'EUR' }),
    })
    const within = await call(kind, create(500))
    const beyond = await call(kind, create(501))
    if (kind.startsWith('envoy')) {
      expect(within).toMatchObject({ status: 200, arrived: [{ body: '{"amount":500,"currency":"EUR"}' }] })
      expect(beyond).toMatchObject({ status: 403, denied: 'argument_out_of_bounds', arrived: [] })
    } else
      for (const answer of [within, beyond])
        expect(answer).toMatchObject({ status: 403, denied: 'body_not_shown', arrived: [] })
  })

  it('sends nothing on without a credential, and passes the challenge on', async () => {
    const before = api.arrived.length
    const answer = await fetch(`${address(kind)}/invoices/4711`)
    expect([answer.status, answer.headers.get('bailiwick-denied')]).toEqual([401, 'credential_missing'])
    expect(answer.headers.get('www-authenticate')).toMatch(/^DPoP /)
    expect(api.arrived).toHaveLength(before)
  })

  /** Bytes of a client whose proof is for a request that the grant allows. */
  const raw = (line: string, fields: string[] = [], body?: string) =>
    eventually('it is decided', async () => {
      const before = api.arrived.length
      const proved = rawAgent.fields('GET', `${address(kind)}/invoices/4711`)
      const usual = [`Host: localhost:${ports[kind]}`, 'Connection: close', ...proved]
      const made = { line, fields: [...usual, ...fields] }
      const answer = await exchangeRaw(address(kind), body === undefined ? made : { ...made, body })
      const [, nonce] = /\r\ndpop-nonce: (\S+)/i.exec(answer.head) ?? []
      if (nonce !== undefined) rawAgent.nonce = nonce
      const [, denied] = /\r\nbailiwick-denied: (\S+)/i.exec(answer.head) ?? []
      return nonce !== undefined || passing.has(denied) ? undefined : { ...answer, arrived: api.arrived.slice(before) }
    })

  it('sends on the same bytes without an attack', async () => {
    expect(await raw('GET /invoices/4711 HTTP/1.1')).toMatchObject({
      status: 200,
      arrived: [{ target: '/invoices/4711' }],
    })
  })

  it.each<[string, string, string[]?, string?]>([
    ['two slashes', 'GET //invoices/4711 HTTP/1.1'],
    ['dots', 'GET /search/../invoices/4711 HTTP/1.1'],
    ['escaped dots', 'GET /search/%2e%2e/invoices/4711 HTTP/1.1'],
    ['an escaped slash', 'GET /search/..%2Finvoices/4711 HTTP/1.1'],
    ['dots with a parameter', 'GET /search/..;/invoices/4711 HTTP/1.1'],
    ['an absolute target of another host', 'GET http://other.test/invoices/4711 HTTP/1.1'],
    [
      'a target that the client forges',
      'GET /users HTTP/1.1',
      ['X-Forwarded-Uri: /invoices/4711', 'X-Forwarded-Method: GET'],
    ],
    ['a target that the client forges for nginx', 'GET /users HTTP/1.1', ['X-Original-URI: /invoices/4711']],
    ['a body with GET', 'GET /invoices/4711 HTTP/1.1', ['Content-Length: 2', 'Content-Type: application/json'], '{}'],
    [
      'a body with GET, in chunks',
      'GET /invoices/4711 HTTP/1.1',
      ['Transfer-Encoding: chunked'],
      '2\r\n{}\r\n0\r\n\r\n',
    ],
    ['the secret of the proxy, forged', 'GET /users HTTP/1.1', ['Bailiwick-Proxy: proxy-secret-0123456789']],
    ['the place where the proxy asks', 'GET /bailiwick HTTP/1.1'],
  ])('sends nothing on for %s', async (_, line, fields, body) => {
    expect(await raw(line, fields, body)).toMatchObject({ arrived: [] })
  })
})

it.skipIf(left)('the outcome of a request is what the log of Envoy says, or that it was not observed', async () => {
  const seen = async () => {
    const tools = new Map<string, string>()
    const found: { tool: string; status: string; http_status?: number; egress_bytes?: number }[] = []
    await using follower = await world.system.host.bus.follow(['decisions.v1'], 'start', async (batch) => {
      for (const { bytes } of batch) {
        const { type, data } = JSON.parse(Buffer.from(bytes).toString())
        if (type === 'decision.allowed') tools.set(data.decision_id, data.action.resource.id)
        if (type !== 'outcome.reported') continue
        const said = JSON.parse(Buffer.from(data.outcome.split('.')[1], 'base64url').toString())
        const { status, http_status, egress_bytes } = said
        found.push({ tool: tools.get(data.decision_id) ?? '', status, http_status, egress_bytes })
      }
    })
    await follower.caughtUp
    return found
  }
  await expect.poll(async () => (await seen()).length).toBe(api.arrived.length)
  const [logged, others] = [[] as object[], [] as object[]]
  for (const { tool, ...outcome } of await seen())
    (tool.startsWith('behind-envoy-grpc/') ? logged : others).push(outcome)
  // The whole answer of the API, each time.
  expect(new Set(logged.map((each) => JSON.stringify(each)))).toEqual(
    new Set([JSON.stringify({ status: 'succeeded', http_status: 200, egress_bytes: '{"id":"4711"}'.length })]),
  )
  expect(new Set(others.map((each) => JSON.stringify(each)))).toEqual(
    new Set([JSON.stringify({ status: 'not_observed' })]),
  )
})
