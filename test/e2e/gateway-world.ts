import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Agent } from '@bailiwick/agent'
import { generateKey, writeKeyFile } from '@bailiwick/credentials'
import { errorCode } from '@bailiwick/errors'
import { configSchema } from '@bailiwick/gateway/config'
import { HttpFixture } from '@bailiwick/gateway/fixture'
import { pinServer } from '@bailiwick/gateway/pin'
import { type Gateway, startGateway } from '@bailiwick/gateway/start'
import { type Logger, logger as makeLogger, metrics, readConfig } from '@bailiwick/host'
import type { InitialEntities } from '@bailiwick/installation'
import { systemClock, systemRandom } from '@bailiwick/kit'
import { openSecrets } from '@bailiwick/relay'
import { sampleAgent } from '@bailiwick/standalone/sample-agent'
import {
  type Approver,
  enrolApprover,
  freePort,
  ServiceProcess,
  type System,
  type SystemOptions,
  startSystem,
} from '@bailiwick/testkit'
import { gatewayAuthority } from './gateway-authority.ts'
import { type OtherEntries, registryOf } from './gateway-registry.ts'

export { gatewayAuthority }

/** The secret that the HTTP server wants. It must be seen nowhere else. */
export const upstreamSecret = 'upstream-secret-0123456789'

/** What other proxies send to the gateway when they ask for decisions. */
export const proxySecret = 'proxy-secret-0123456789'

export const stdioFixture = join(import.meta.dirname, '../../services/gateway/src/fixture/stdio-server.fixture.ts')

export interface GatewayWorldOptions extends Partial<OtherEntries> {
  /** Further members of the entries in gateway.yaml, by server. */
  entries?: Record<string, object>
  /** Before the servers are read and approved. */
  prepare?: (http: HttpFixture) => void
  /** Whether the gateway speaks HTTP/2 too. */
  http2?: boolean
  /** Whether the gateway gets the pin files. */
  pinned?: boolean
  /** HTTP APIs: their entries in gateway.yaml and, for those with operations, what each operation does. */
  apis?: Record<string, { entry: { url: string; host?: string } & object; tools?: Record<string, object> }>
  /** Parts of the system: policies, settings, or the adapters of the project under test. */
  system?: Pick<SystemOptions, 'adapters' | 'policies' | 'env'>
  /** Opens the system's adapters, which end with the world. */
  adapters?: () => Promise<Pick<SystemOptions, 'adapters'> & AsyncDisposable>
  /** Further variables of the gateway, for its secrets. */
  env?: Record<string, string>
  /** APIs behind other proxies: their entries in gateway.yaml and, for those with operations, what each operation does. */
  authorize?: Record<string, { entry: { url: string; address: string } & object; tools?: Record<string, object> }>
  /** Whether Envoy may ask over gRPC (`gateway.grpcUrl`). */
  grpc?: boolean
  entities?: (sample: InitialEntities) => InitialEntities
  logger?: Logger
}

const labels: Record<string, object> = {
  read: { labels: ['reads_private'] },
  adjust: { labels: ['writes'], cost: { amount: '/amount', currency: '/currency' } },
  delete: { labels: ['writes'] },
  slow: { labels: [] },
  'resources/read': { labels: ['reads_private'] },
  'prompts/get': { labels: [] },
  'stream/open': { labels: [] },
  'elicitation/create': { labels: [] },
  'tasks/update': { labels: [] },
  'sampling/createMessage': { labels: [] },
}

// Each request is for another duration: an identical one is folded.
let asks = 0

/** What a busy machine brings about, and nothing else does in these tests. */
export const passing: ReadonlySet<unknown> = new Set([
  ...[
    'deadline_exceeded',
    'evidence_unavailable',
    'pdp_unavailable',
    'state_stale',
    'queue_full',
    'credential_unrecorded',
  ],
  ...['service_standby', 'service_unready', 'service_unreachable', 'request_timed_out', 'outcome_unknown'],
])
export const mostTries = 20

/** Does it again if it fails for such a reason. */
export async function patiently<T>(act: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++)
    try {
      return await act()
    } catch (error) {
      if (!passing.has(errorCode(error)) || tries === mostTries) throw error
      await new Promise((resolve) => setTimeout(resolve, 500))
    }
}

type Entries = Record<string, object>
const entriesOf = (all: Record<string, { entry: object }>): Entries =>
  Object.fromEntries(Object.entries(all).map(([name, { entry }]) => [name, entry]))

type Made = Pick<GatewayWorld, 'system' | 'approver' | 'http' | 'url' | 'folder' | 'gateway' | 'rewrite'>

/** A real installation, its gateway in front of a server over HTTP and one on standard input, a person, and an agent with a grant. */
export class GatewayWorld implements AsyncDisposable {
  readonly system: System
  readonly approver: Approver
  readonly http: HttpFixture
  readonly url: string
  readonly folder: string
  readonly gateway: Gateway
  /** Writes gateway.yaml anew, with these entries in place of its servers. */
  readonly rewrite: (change: (mcp: Entries) => Entries, more?: Record<string, unknown>) => void
  readonly #owned: AsyncDisposable

  private constructor(made: Made, owned: AsyncDisposable) {
    this.system = made.system
    this.approver = made.approver
    this.http = made.http
    this.url = made.url
    this.folder = made.folder
    this.gateway = made.gateway
    this.rewrite = made.rewrite
    this.#owned = owned
  }

  static async open({
    entries = {},
    prepare,
    http2 = false,
    pinned = false,
    apis = {},
    gits = {},
    databases = {},
    sessions = {},
    sshs = {},
    authorize = {},
    grpc = false,
    system: parts = {},
    entities,
    logger,
    adapters: openAdapters,
    env: variables = {},
  }: GatewayWorldOptions = {}): Promise<GatewayWorld> {
    await using opening = new AsyncDisposableStack()
    const adapters = openAdapters === undefined ? undefined : opening.use(await openAdapters()).adapters
    const folder = mkdtempSync(join(tmpdir(), 'bailiwick-gateway-'))
    opening.defer(() => rmSync(folder, { recursive: true, force: true }))
    const http = opening.use(await HttpFixture.start())
    prepare?.(http)
    const port = await freePort()
    const url = `http://localhost:${port}`
    const billing = {
      url: http.url,
      inject: { headers: { authorization: `Bearer \${secret:env:UPSTREAM_SECRET}` } },
      ...entries.billing,
    }
    const local = {
      command: [process.execPath, stdioFixture],
      env: { FIXTURE_LOG: join(folder, 'stdio.log') },
      processes: 64,
      ...entries.local,
    }
    const file = join(folder, 'gateway.yaml')
    const write = (more: Record<string, unknown> = {}, change = (mcp: Entries): Entries => mcp) =>
      writeFileSync(
        file,
        JSON.stringify({
          http: entriesOf(apis),
          git: gits,
          postgres: databases,
          session: entriesOf(sessions),
          ssh: sshs,
          authorize: entriesOf(authorize),
          ...more,
          mcp: change({ billing: { ...billing, ...pin('billing') }, local: { ...local, ...pin('local') } }),
        }),
      )
    const pin = (name: string) => (pinned ? { pin: `${name}.pin.json` } : {})
    const env = {
      ...{ PATH: process.env.PATH, UPSTREAM_SECRET: upstreamSecret, PROXY_SECRET: proxySecret },
      GATEWAY_CANARY: 'gateway-canary',
      ...variables,
    }
    const secrets = openSecrets({ env })
    write()
    const servers: InitialEntities[number][] = []
    const behind = { ...apis, ...authorize }
    const described = Object.entries(behind).flatMap(([name, { tools }]) => (tools === undefined ? [] : [name]))
    for (const name of ['billing', 'local', ...described]) {
      const { server } = await pinServer({
        name,
        config: file,
        out: join(folder, `${name}.pin.json`),
        env,
        secrets,
        random: systemRandom,
      })
      servers.push({ type: 'tool-server', value: { ...server, tools: behind[name]?.tools ?? labels } } as never)
    }
    servers.push(...registryOf({ gits, databases, sessions, sshs }))
    const [caller, outcome] = [generateKey('pep-caller'), generateKey('outcome')]
    writeKeyFile(join(folder, 'keys'), 'gateway-caller', caller)
    writeKeyFile(join(folder, 'keys'), 'gateway-outcome', outcome)
    const point = {
      type: 'enforcement-point',
      value: {
        id: 'gateway',
        caller_jwk: caller.publicJwk,
        outcome_jwk: outcome.publicJwk,
        resources: [
          { type: 'tool', id_prefix: 'billing/' },
          { type: 'tool', id_prefix: 'local/' },
          ...Object.keys({ ...gits, ...databases, ...sessions, ...sshs }).map((name) => ({
            type: 'tool',
            id_prefix: `${name}/`,
          })),
          ...Object.entries(behind).map(([name, { entry, tools }]) =>
            tools === undefined ? { type: 'api', id_prefix: `${entry.url}/` } : { type: 'tool', id_prefix: `${name}/` },
          ),
        ],
        base_urls: [
          ...[`${url}/mcp/billing`, `${url}/mcp/local`],
          ...Object.keys(gits).map((name) => `${url}/git/${name}`),
          ...Object.keys(databases).map((name) => `${url}/postgres/${name}`),
          ...Object.keys(sessions).map((name) => `${url}/session/${name}`),
          ...Object.keys(sshs).map((name) => `${url}/ssh/${name}`),
          ...Object.entries(apis).map(([name, { entry }]) =>
            entry.host === undefined ? `${url}/http/${name}` : `http://${entry.host}:${port}`,
          ),
          ...Object.values(authorize).map(({ entry }) => entry.address),
        ],
        may_release: true,
      },
    } as never
    const system = opening.use(
      await startSystem({
        ...parts,
        ...(adapters && { adapters }),
        entities: (sample) => [...(entities?.(sample) ?? sample), ...servers, point],
        // A busy machine is no failure: nothing here is about lateness.
        env: { BAILIWICK_DECISION_DEADLINE: '10s', BAILIWICK_MAX_STALENESS: '10s', ...parts.env },
        ...(logger === undefined ? {} : { logger }),
      }),
    )
    write({ trust: join(system.data, 'trust.json') })
    const config = readConfig(configSchema, {
      BAILIWICK_DATA: join(folder, 'data'),
      BAILIWICK_PORT: String(port),
      BAILIWICK_GATEWAY_CONFIG: file,
      BAILIWICK_HTTP2: http2 ? '1' : '0',
      BAILIWICK_HOSTS: Object.values(apis)
        .flatMap(({ entry }) => entry.host ?? [])
        .join(),
      ...(grpc ? { BAILIWICK_GRPC_PORT: '0' } : {}),
    })
    const start = () =>
      startGateway(config, {
        clock: system.clock ?? systemClock,
        random: systemRandom,
        logger: logger ?? makeLogger({ service: 'gateway', level: 'silent' }),
        metrics: metrics({ service: 'gateway', processMetrics: false }),
        env,
        secrets,
      })
    const gateway = opening.use(await start())
    const approver = await patiently(() => enrolApprover(system))
    const rewrite: Made['rewrite'] = (change, more) =>
      write({ trust: join(system.data, 'trust.json'), ...more }, change)
    return new GatewayWorld({ system, approver, http, url, folder, gateway, rewrite }, opening.move())
  }

  /** A second process of the same gateway, behind the same public address. */
  async replica(variables: Record<string, string> = {}): Promise<ServiceProcess> {
    const env = {
      PATH: process.env.PATH ?? '',
      UPSTREAM_SECRET: upstreamSecret,
      BAILIWICK_DATA: join(this.folder, 'data-of-replica'),
      BAILIWICK_PORT: String(await freePort()),
      BAILIWICK_PUBLIC_URL: this.url,
      BAILIWICK_GATEWAY_CONFIG: join(this.folder, 'gateway.yaml'),
      ...variables,
    }
    const replica = new ServiceProcess({ service: 'gateway', env })
    replica.start()
    await replica.ready()
    return replica
  }

  /** The sample agent; its requests may go another way. */
  agent(way: { fetch?: typeof fetch } = {}): Agent {
    return sampleAgent(this.system.host, 'reconciler', way)
  }

  /** A grant, approved by the person. */
  async granted(
    authority: object = gatewayAuthority(),
    agent = this.agent(),
  ): Promise<{ requestId: string; grantId: string }> {
    const signed = agent.signRequest({ authority, mode: 'window', expiresInSeconds: 3600 - (++asks % 600) } as never)
    const { requestId } = await patiently(() => agent.request(signed))
    const { grant_id: grantId } = await patiently(() => this.approver.approve(requestId))
    if (grantId === undefined) throw new Error('there is no grant')
    return { requestId, grantId }
  }

  /** An MCP client of the sample agent, with a new grant unless one is given. */
  async client(server: string, era: 'legacy' | 'modern', given?: { grantId: string }): Promise<McpClient> {
    const { grantId } = given ?? (await this.granted())
    return new McpClient({ agent: this.agent(), grantId, url: `${this.url}/mcp/${server}`, server, era })
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    return this.#owned[Symbol.asyncDispose]()
  }
}

/** What a test reads of an answer, as it is. */
type Anything = ReturnType<typeof JSON.parse>
type Message = Record<string, Anything>

interface ClientOptions {
  agent: Agent
  grantId: string
  url: string
  server: string
  era: 'legacy' | 'modern'
}

export interface McpAnswer {
  status: number
  headers: Headers
  text: string
  /** The response, from JSON or from the stream. */
  message: { id?: unknown; result?: Anything; error?: { code: number; message: string; data?: Anything } } | undefined
}

/** A client of MCP by hand, whose requests the agent's SDK signs: each call with its action. */
export class McpClient {
  readonly options: ClientOptions
  session: string | undefined
  #id = 0

  constructor(options: ClientOptions) {
    this.options = options
  }

  /** Begins a session, in the legacy era. */
  async begin(capabilities: Message = {}): Promise<McpAnswer> {
    const params = { protocolVersion: '2025-11-25', capabilities, clientInfo: { name: 'test', version: '1' } }
    const answer = await this.ask('initialize', params)
    this.session = answer.headers.get('mcp-session-id') ?? undefined
    await this.send({ jsonrpc: '2.0', method: 'notifications/initialized' })
    return answer
  }

  /** The message of a request, as this era writes it. */
  message(method: string, params: Message = {}, id: string | number = ++this.#id) {
    const meta = {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientCapabilities': {},
    }
    const given = this.options.era === 'modern' ? { ...params, _meta: { ...meta, ...params._meta } } : params
    return { jsonrpc: '2.0', id, method, params: given }
  }

  ask(method: string, params: Message = {}, more: { headers?: Record<string, string> } = {}): Promise<McpAnswer> {
    return this.send(this.message(method, params), more)
  }

  call(name: string, args: Message = {}, more: { headers?: Record<string, string> } = {}): Promise<McpAnswer> {
    return this.ask('tools/call', { name, arguments: args }, more)
  }

  /** Sends a message, and sends it again while a busy machine keeps it from being decided. */
  async send(message: Message, more: { headers?: Record<string, string>; body?: string } = {}): Promise<McpAnswer> {
    for (let tries = 1; ; tries++) {
      const answer = await this.#sendOnce(message, more)
      if (!passing.has(answer.message?.error?.data?.code) || tries === mostTries) return answer
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
  }

  /** The answer to a call that flows, once there is one. */
  async flow(): Promise<Response> {
    for (let tries = 1; ; tries++) {
      const response = await this.open(this.message('tools/call', { name: 'slow', arguments: {} }))
      if (response.headers.get('content-type') === 'text/event-stream' || tries === mostTries) return response
      await response.body?.cancel()
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
  }

  async #sendOnce(message: Message, more: { headers?: Record<string, string>; body?: string }): Promise<McpAnswer> {
    const response = await this.open(message, more)
    const text = await response.text()
    const events = /event-stream/.test(response.headers.get('content-type') ?? '')
    const texts = events ? [...text.matchAll(/^data: ?(.*)$/gm)].map(([, data = '']) => data) : [text]
    const messages = texts.flatMap((each) => {
      try {
        return [JSON.parse(each)]
      } catch {
        return []
      }
    })
    return {
      status: response.status,
      headers: response.headers,
      text,
      message: messages.findLast((each) => 'result' in each || 'error' in each),
    }
  }

  /** The answer as it arrives. */
  open(
    message: Message,
    {
      headers = {},
      body = JSON.stringify(message),
      signal,
      callId,
    }: { headers?: Record<string, string>; body?: string; signal?: AbortSignal; callId?: string } = {},
  ): Promise<Response> {
    const { agent, grantId, url, era } = this.options
    const { method, params = {} } = message
    const named =
      method === 'resources/read'
        ? params.uri
        : /^tasks\/(get|update|cancel)$/.test(method)
          ? params.taskId
          : ['tools/call', 'prompts/get'].includes(method)
            ? params.name
            : undefined
    const mirrors = {
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': method,
      ...(named === undefined ? {} : { 'mcp-name': named }),
      ...(method === 'tools/call' && params.arguments?.amount !== undefined
        ? { 'mcp-param-amount': String(params.arguments.amount) }
        : {}),
    }
    return agent.fetch(
      url,
      {
        method: 'POST',
        body,
        headers: {
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          ...(era === 'modern' ? mirrors : {}),
          ...(this.session === undefined ? {} : { 'mcp-session-id': this.session }),
          ...headers,
        },
        ...(signal === undefined ? {} : { signal }),
      },
      { grant: { grantId }, patienceMs: 0, ...this.actionOf(message), ...(callId === undefined ? {} : { callId }) },
    )
  }

  /** What the agent signs: the action of a call; for anything else the address alone. */
  actionOf({ method, params = {} }: Message) {
    const { server } = this.options
    const on = (tool: string, properties: object) => ({
      action: 'tools/call',
      resource: { type: 'tool', id: `${server}/${tool}` },
      properties: properties as Record<string, unknown>,
    })
    const { task, inputResponses, requestState } = params
    const asTask = task === undefined ? {} : { 'io.modelcontextprotocol/task': task }
    const answers = {
      ...(inputResponses === undefined ? {} : { inputResponses }),
      ...(requestState === undefined ? {} : { requestState }),
    }
    if (method === 'tools/call') return on(params.name, { ...params.arguments, ...asTask, ...answers })
    if (method === 'tasks/update') return on(method, { taskId: params.taskId, inputResponses })
    if (method === 'resources/read') return on(method, { uri: params.uri, ...answers })
    return {}
  }
}
