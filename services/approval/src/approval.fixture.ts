import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Bus } from '@bailiwick/bus'
import { embeddedBus } from '@bailiwick/bus/embedded'
import type { Agent, EnforcementPoint, Rule } from '@bailiwick/contracts'
import {
  type AccessRequest,
  generateKey,
  jcsHash,
  makeDpopProof,
  readKeyFile,
  type SigningKey,
  signAccessRequest,
  type Trust,
} from '@bailiwick/credentials'
import { Health, type HttpServer, httpServer, logger, type Metrics, metrics, type SafePost } from '@bailiwick/host'
import { topicSettings } from '@bailiwick/host/process'
import { initialise, paths, readGenesis } from '@bailiwick/installation'
import { type Participant, Producer } from '@bailiwick/instance'
import { newId, systemClock, systemRandom, type TestClock } from '@bailiwick/kit'
import type { ApprovalConfig } from './config.ts'
import { standInIssuer } from './issuer.fixture.ts'
import { startApproval } from './start.ts'

export const origin = 'http://localhost:8421'
export const agentId = 'spiffe://acme.example/agent/ledger'
export const otherAgentId = 'spiffe://acme.example/agent/forecast'

export interface World extends AsyncDisposable {
  bus: Bus
  data: string
  trust: Trust
  http: HttpServer
  operator: HttpServer
  metrics: Metrics
  issuer: Participant
  /** Says with approval's key what approval itself would not say. */
  approval: Producer
  invitation: SigningKey<'invitation'>
  /** Signs denials as a decision point does. */
  binding: SigningKey<'binding-token'>
  root: SigningKey<'root'>
  /** Of `<agentId>/one`, `<agentId>/two` and `<otherAgentId>/one`. */
  keys: { one: SigningKey<'agent'>; two: SigningKey<'agent'>; other: SigningKey<'agent'> }
  /** The log so far. */
  log(): string
}

interface InjectBody {
  headers?: Record<string, string>
  payload?: object | string
}

export interface WorldOptions {
  rule?: Partial<Rule>
  /** Additional rules, each with its `match` and `order`. */
  moreRules?: Rule[]
  singleOperator?: boolean
  /** How far approval's clock is moved; real time passes as well. */
  clock?: TestClock
  requestLifeSeconds?: number
  /** Where callbacks go. */
  post?: SafePost
  /** Why the issuer refuses what was approved. By default it refuses nothing. */
  refuses?: () => string | undefined
  /** In addition to the two with registered keys. */
  agents?: readonly Agent[]
  points?: readonly EnforcementPoint[]
  notify?: NonNullable<ApprovalConfig['notify']>
}

export const aRule = (over: Partial<Rule> = {}): Rule => ({
  id: 'tasks',
  order: 100,
  match: { actions: ['tools/call'] },
  approvers: { group: 'owners', quorum: 1 },
  owner_may_approve: true,
  modes: ['per_action', 'window'],
  max_window_seconds: 4 * 3600,
  narrowing: true,
  ...over,
})

/** A real approval service on a real bus in its own folder, with a stand-in for the issuer. No approver is enrolled. */
export async function aWorld(options: WorldOptions = {}): Promise<World> {
  const data = mkdtempSync(join(tmpdir(), 'approval-test-'))
  await using stack = new AsyncDisposableStack()
  stack.defer(() => rmSync(data, { recursive: true, force: true }))
  const keys = { one: generateKey('agent'), two: generateKey('agent'), other: generateKey('agent') }
  const trust = initialise({
    data,
    publicUrl: origin,
    singleOperator: options.singleOperator ?? true,
    now: systemClock.now(),
    randomBytes: systemRandom,
    policies: new Map([['all.cedar', Buffer.from('permit(principal, action, resource);')]]),
    entities: [
      ...entitiesOf(keys, [aRule(options.rule), ...(options.moreRules ?? [])]),
      ...(options.agents ?? []).map((value) => ({ type: 'agent' as const, value })),
      ...(options.points ?? []).map((value) => ({ type: 'enforcement-point' as const, value })),
    ],
  })
  const at = paths(data)
  const clock = options.clock === undefined ? systemClock : moved(options.clock)
  const bus = stack.use(await embeddedBus({ dir: at.bus, now: () => clock.now(), ...topicSettings }))
  const issuer = stack.use(
    await standInIssuer({
      bus,
      trust,
      genesis: readGenesis(data),
      eventKey: readKeyFile(at.keys('issuer'), 'event', 'issuer-event'),
      ...(options.refuses === undefined ? {} : { refuses: options.refuses }),
      clock,
    }),
  )
  const lines: string[] = []
  const log = logger({ service: 'test', level: 'debug', destination: { write: (line) => void lines.push(line) } })
  const meter = metrics({ service: 'test', processMetrics: false })
  const health = new Health()
  const server = () => httpServer({ logger: log, clock: systemClock, health, metrics: meter })
  const [http, operator] = [await server(), await server()]
  stack.use(
    await startApproval(
      {
        instance: newId('evt', systemClock.now(), systemRandom).slice(4),
        publicUrl: origin,
        maxStalenessMs: 2000,
        ...(options.notify === undefined ? {} : { notify: options.notify }),
        ...(options.requestLifeSeconds === undefined ? {} : { requestLifeSeconds: options.requestLifeSeconds }),
      },
      {
        data,
        bus,
        trust,
        keys: {
          event: readKeyFile(at.keys('approval'), 'event', 'approval-event'),
          notification: readKeyFile(at.keys('approval'), 'notification', 'notification'),
        },
        clock,
        random: systemRandom,
        logger: log,
        health,
        metrics: meter,
        http,
        operator,
        onFatal: (error) => {
          throw error
        },
        ...(options.post ? { post: options.post } : {}),
      },
    ),
  )
  stack.defer(() => Promise.all([http.close(), operator.close()]).then(() => undefined))
  const owned = stack.move()
  const invitation = readKeyFile(at.keys('invitation'), 'invitation', 'invitation')
  const binding = readKeyFile(at.keys('policy-decision'), 'binding-token', 'binding-token')
  const approval = new Producer({
    bus,
    projection: issuer.projection,
    key: readKeyFile(at.keys('approval'), 'event', 'approval-event'),
    service: 'approval',
    instance: 'test',
    time: systemClock,
    newEventId: () => newId('evt', systemClock.now(), systemRandom),
    onFatal: (error) => {
      throw error
    },
  })
  const world = {
    approval,
    bus,
    data,
    trust,
    http,
    operator,
    metrics: meter,
    issuer,
    invitation,
    binding,
    root: readKeyFile(at.keys('root'), 'root', 'root'),
    keys,
    log: () => lines.join(''),
  }
  return { ...world, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

/** Resolves once approval answers again. To approval, a jump of its clocks looks as if its heads had stopped arriving. */
export async function answering({ http }: World): Promise<void> {
  // Not the console's page, which answers 503 if it has not been built.
  const url = '/.well-known/bailiwick-notification-keys'
  const standsBy = async () => (await http.inject({ method: 'GET', url })).statusCode === 503
  while (await standsBy()) await new Promise((resolve) => setTimeout(resolve, 10))
}

/** The machine's clock, shifted by as much as the test's clock has moved since its start at 0. */
function moved(clock: TestClock) {
  return {
    now: () => systemClock.now() + clock.now(),
    monotonic: () => systemClock.monotonic() + clock.monotonic(),
  }
}

function entitiesOf(keys: World['keys'], rules: readonly Rule[]) {
  const agent = (id: string, owner: string, instances: [string, SigningKey<'agent'>][]): Agent => ({
    id,
    name: id.slice(id.lastIndexOf('/') + 1),
    owner,
    attestor: {
      kind: 'registered_key',
      keys: instances.map(([instance, { publicJwk }]) => ({ instance, jwk: publicJwk as { kty: 'EC' } & never })),
    },
    labels: [],
    proactive_requests: true,
    callbacks: ['https://hooks.example/cb'],
  })
  const tools = { read: { labels: [] }, adjust: { labels: [] } }
  return [
    {
      type: 'agent' as const,
      value: agent(agentId, 'olga', [
        ['one', keys.one],
        ['two', keys.two],
      ]),
    },
    { type: 'agent' as const, value: agent(otherAgentId, 'olga', [['one', keys.other]]) },
    ...rules.map((value) => ({ type: 'rule' as const, value })),
    {
      type: 'tool-server' as const,
      value: { id: 'invoices', url: 'http://localhost:8430/', manifest: jcsHash(tools), tools },
    },
  ]
}

export const authority = {
  type: 'bailiwick_task',
  task: 'reconcile',
  permissions: [{ actions: ['tools/call'], resource: { type: 'tool', id: 'invoices/read' }, max_uses: 10 }],
  budget: { calls: 20 },
  max_depth: 0,
  max_children: 0,
} as const

let serial = 0
const unique = (prefix: string) => `${prefix}-${process.pid}-${++serial}`

export function anAsk(trust: Trust, over: Partial<AccessRequest> = {}): AccessRequest {
  const now = Math.floor(systemClock.now() / 1000)
  return {
    aud: trust.installation,
    sub: `${agentId}/one`,
    iat: now,
    exp: now + 600,
    jti: unique('ask'),
    authority,
    mode: 'window',
    // Each ask has a different length: the same ask twice would be one request, and would cool down after a denial.
    ...(over.not_after === undefined ? { expires_in_seconds: 1800 + (++serial % 600) } : {}),
    ...over,
  }
}

/** An agent that asks over HTTP and reads its status. */
export function agentOf({ http, trust, keys }: World, key: SigningKey<'agent'> = keys.one, sub = `${agentId}/one`) {
  /** The nonce of the first answer that required one. Approval requires one while a proof may be older than its memory. */
  let nonce: string | undefined
  const proof = (method: string, path: string, aheadMs = 0) => {
    const now = systemClock.now() + aheadMs
    return makeDpopProof({ htm: method, htu: `${origin}${path}`, jti: unique('proof'), now, nonce }, key)
  }
  /** Sends with a new proof, and again with a nonce if one is required. */
  const proved = async (
    method: 'GET' | 'POST',
    path: string,
    sent: InjectBody & { query?: string; aheadMs?: number },
  ) => {
    const { query = '', aheadMs, headers, ...body } = sent
    const url = `${path}${query}`
    const send = () =>
      http.inject({ method, url, ...body, headers: { ...headers, dpop: proof(method, path, aheadMs) } })
    const first = await send()
    const wanted = first.headers['dpop-nonce']
    if (first.statusCode !== 401 || typeof wanted !== 'string') return first
    nonce = wanted
    return send()
  }
  return {
    proof,
    sign: (over: Partial<AccessRequest> = {}) => signAccessRequest(anAsk(trust, { sub, ...over }), key),
    submit: (request: string, more: object = {}, subject = claimsIn(request).sub) =>
      http.inject({
        method: 'POST',
        url: '/access/v1/requests',
        payload: { subject: { type: 'agent', id: subject }, ...firstOf(request), bailiwick: { request, ...more } },
      }),
    /** Sends as an AuthZEN client: with what surrounds the signed ask, and header fields. */
    send: (request: string, around: object = {}, headers: Record<string, string> = {}) =>
      http.inject({
        method: 'POST',
        url: '/access/v1/requests',
        headers,
        payload: { subject: { type: 'agent', id: sub }, ...firstOf(request), bailiwick: { request }, ...around },
      }),
    /** Learns the required nonce, if there is one. */
    list: (named: Record<string, string> = {}, aheadMs = 0) => {
      const query = `?${new URLSearchParams({ agent: sub.slice(0, sub.lastIndexOf('/')), ...named })}`
      return proved('GET', '/access/v1/requests', { query, aheadMs })
    },
    /** With this proof unchanged, or with a new one. */
    status: (id: string, dpop?: string) => {
      const path = `/access/v1/requests/${id}`
      return dpop === undefined ? proved('GET', path, {}) : http.inject({ method: 'GET', url: path, headers: { dpop } })
    },
    cancel: (id: string, body: InjectBody = {}) => proved('POST', `/access/v1/requests/${id}/cancel`, body),
  }
}

/** The first action and resource of a signed ask, as a submission names them. */
function firstOf(request: string): object {
  const [first] = claimsIn(request).authority.permissions
  return { resource: first?.resource, action: { name: first?.actions[0] } }
}

function claimsIn(request: string) {
  return JSON.parse(Buffer.from(request.split('.')[1] ?? '', 'base64url').toString()) as {
    sub: string
    authority: { permissions: { actions: string[]; resource: object }[] }
  }
}
