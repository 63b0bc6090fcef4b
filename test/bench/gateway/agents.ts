import { type Agent, createAgent } from '@bailiwick/agent'
import { type Action, actionDigest, generateKey, makeDpopProof, type SigningKey } from '@bailiwick/credentials'
import type { InitialEntities } from '@bailiwick/installation'
import { sample, sampleAgentId } from '@bailiwick/standalone/sample'
import type { Approver, RunningSystem } from '@bailiwick/testkit'
import { inFlight } from '../measure.ts'
import { passing, patiently, persistently } from '../patience.ts'
import { getOf, postOf } from '../pdp/load.ts'
import { serverName } from './place.ts'
import type { Tally } from './tally.ts'

const version = '2026-07-28'
/** A credential lives for ten minutes here. */
export const credentialSeconds = 600
const tokenForMs = (credentialSeconds / 2) * 1000
/** How long a busy machine may take to make a grant. */
const grantWithinMs = 120_000

/** An agent with a grant of its own. */
export interface Holder {
  readonly agent: Agent
  readonly key: SigningKey<'agent'>
  readonly requestId: string
  readonly grantId: string
}

/** An agent: an instance, with a key of its own, of a piece of software that the registry knows. */
interface Made {
  id: string
  instance: string
  key: SigningKey<'agent'>
}

/** Instances of one entry: a registry cannot begin with 1,000 entries. */
const instances = 50

interface Question {
  method: 'tools/call' | 'subscriptions/listen'
  params: Record<string, unknown>
  action: Action
}

/** A request for what stands behind the gateway, before it has a credential and a proof. */
export interface Prepared {
  method: 'POST' | 'GET'
  headers: Record<string, string>
  body: string
  /** What the agent signs; the address alone if it is left out. */
  action?: Action
}

/** What agents ask for, and what they then call. */
export interface Kind {
  permissions: readonly object[]
  /** The money of each grant, if its calls cost any. */
  cost?: Readonly<Record<string, string>>
  call: Prepared
  /** Its path where no gateway stands in front. */
  directPath: string
  /** Whether the upstream's own answer came, or a denial because a busy machine was late. Throws for anything else. */
  outcomeOf(status: number, body: string): 'answered' | 'late'
}

const onTool = (tool: string, properties: Record<string, unknown>): Action => ({
  ...{ name: 'tools/call', properties },
  resource: { type: 'tool', id: `${serverName}/${tool}` },
})
const listening = (everyMs: number): Question => {
  const params = { notifications: { every_ms: everyMs } }
  return { method: 'subscriptions/listen', params, action: onTool('subscriptions/listen', params) }
}

/** Agents with a key each, and the requests that they send to the gateway: ready bytes, so that signing them is not measured. */
export class Agents {
  readonly tally: Tally = { direct: 0, through: 0, streams: 0 }
  readonly #url: string
  readonly #made: readonly Made[]
  readonly #kind: Kind
  readonly #tokens = new Map<Holder, { token: string; until: number }>()
  #nonce: string | undefined
  #requests = 0

  /** `url`: where the gateway is called. `name`: begins the names of the agents. */
  constructor(count: number, url: string, kind: Kind = ofMcp, name = 'gateway') {
    this.#url = url
    this.#kind = kind
    this.#made = Array.from({ length: count }, (_, n) => ({
      id: sampleAgentId(`${name}-${Math.floor(n / instances)}`),
      instance: `i${n % instances}`,
      key: generateKey('agent'),
    }))
  }

  /** The initial registry of an installation, with the agents added. */
  readonly entities = (entities: InitialEntities): InitialEntities => [
    ...entities,
    ...[...Map.groupBy(this.#made, ({ id }) => id)].map(([id, made]): InitialEntities[number] => {
      const keys = made.map(({ instance, key }) => ({ instance, jwk: { ...key.publicJwk } }))
      const attestor = { kind: 'registered_key' as const, keys }
      return {
        type: 'agent',
        value: { id, name: id, owner: sample.owner, attestor, labels: [], proactive_requests: true },
      }
    }),
  ]

  /** A grant for each agent, which a person approves. */
  async granted(
    system: Pick<RunningSystem, 'trust' | 'clock' | 'random'>,
    approver: Approver,
    progress: (made: number) => void,
  ): Promise<Holder[]> {
    const holders: Holder[] = []
    await inFlight(8, this.#made.length, async (n) => {
      const { id, instance, key } = this.#made[n] as Made
      const agent = createAgent({
        ...{ agentId: id, instance, key, installation: system.trust.installation },
        ...{ baseUrl: system.trust.public_url, now: () => system.clock.now(), random: system.random },
      })
      const { requestId } = await patiently(() => agent.request(ask(this.#kind)))
      const { grant_id: grantId, status } = await patiently(() => approver.approve(requestId))
      if (grantId === undefined) throw new Error(`the request is ${status}, without a grant`)
      holders.push({ agent, key, requestId, grantId })
      progress(holders.length)
    })
    return holders
  }

  /** Fetches the credentials that are missing or half over. */
  async renew(holders: readonly Holder[]): Promise<void> {
    await inFlight(16, holders.length, async (n) => {
      const holder = holders[n] as Holder
      if (performance.now() < (this.#tokens.get(holder)?.until ?? 0)) return
      const wait = AbortSignal.timeout(grantWithinMs)
      const { token } = await persistently(() => holder.agent.credential({ requestId: holder.requestId }, { wait }))
      this.#tokens.set(holder, { token, until: performance.now() + tokenForMs })
    })
  }

  /** Learns the nonce that proofs need in the seconds around a start, and begins the conversations of these agents with the server. */
  async begin(holders: readonly Holder[]): Promise<void> {
    await this.renew(holders)
    await inFlight(8, holders.length, (n) => persistently(() => this.#beginOne(holders[n] as Holder)))
  }

  /** Takes the nonce that other agents have learnt. */
  learnFrom(others: Agents): void {
    this.#nonce = others.#nonce
  }

  async #beginOne(holder: Holder): Promise<void> {
    const { call, outcomeOf } = this.#kind
    const { method, headers, body } = this.#signed(holder, call)
    const response = await fetch(this.#url, { method, headers, ...(method === 'GET' ? {} : { body }) })
    this.#nonce = response.headers.get('dpop-nonce') ?? this.#nonce
    const said = await response.text()
    if (outcomeOf(response.status, said) !== 'answered') throw new Error(`the gateway answers ${said}`)
    this.tally.through++
  }

  /** Calls by these agents in turn. Send them within a minute. */
  calls(holders: readonly Holder[], count: number): Buffer[] {
    const { pathname } = new URL(this.#url)
    return Array.from({ length: count }, (_, n) =>
      bytesOf(pathname, this.#signed(holders[n % holders.length] as Holder, this.#kind.call)),
    )
  }

  /** The same call, for the server itself. */
  direct(): Buffer {
    return bytesOf(this.#kind.directPath, this.#kind.call)
  }

  /** Opens a stream that says something at this interval. */
  listen(holder: Holder, everyMs: number): Buffer {
    return bytesOf(new URL(this.#url).pathname, this.#signed(holder, written(listening(everyMs))))
  }

  #signed(holder: Holder, { method, headers, body, action }: Prepared): Prepared {
    const { token = '' } = this.#tokens.get(holder) ?? {}
    const jti = `bench-${process.pid}-${String(++this.#requests).padStart(12, '0')}`
    const proof = makeDpopProof(
      {
        ...{ htm: method, htu: this.#url, jti, now: Date.now(), accessToken: token, nonce: this.#nonce },
        ...(action === undefined ? {} : { actionDigest: actionDigest(action) }),
      },
      holder.key,
    )
    return { method, headers: { ...headers, authorization: `DPoP ${token}`, dpop: proof }, body }
  }
}

const bytesOf = (path: string, { method, headers, body }: Prepared): Buffer =>
  method === 'GET' ? getOf(path, headers) : postOf(path, body, headers)

function written({ method, params, action }: Question): Prepared {
  const meta = {
    'io.modelcontextprotocol/protocolVersion': version,
    'io.modelcontextprotocol/clientCapabilities': {},
  }
  const name = typeof params.name === 'string' ? { 'mcp-name': params.name } : {}
  return {
    method: 'POST',
    action,
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': version,
      'mcp-method': method,
      ...name,
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { ...params, _meta: meta } }),
  }
}

// An identical request would be the same request.
let asks = 0

function ask({ permissions, cost }: Pick<Kind, 'permissions' | 'cost'>) {
  const authority = {
    ...{ type: 'bailiwick_task', task: 'bench-the-gateway', permissions, max_depth: 0, max_children: 0 },
    budget: { calls: 1_000_000 + ++asks, ...(cost === undefined ? {} : { cost }) },
  } as const
  return { authority, mode: 'window', expiresInSeconds: 8 * 3600 } as const
}

/** Denials that a busy machine causes, or two decision points that decide for one task at once; any other must not happen. */
export const late: ReadonlySet<unknown> = new Set([
  ...['deadline_exceeded', 'state_stale', 'evidence_unavailable', 'pdp_unavailable', 'credential_unrecorded'],
  ...['proof_nonce_required', 'state_contended', ...passing],
])

/** Whether the server's own answer came, or a denial because a busy machine was late. Throws for anything else. */
export function outcomeOf(status: number, body: string): 'answered' | 'late' {
  const said = JSON.parse(body) as {
    result?: { isError?: boolean }
    error?: { data?: { code?: string } }
    code?: string
  }
  if (status === 200 && said.result?.isError === false) return 'answered'
  if (late.has(said.error?.data?.code ?? said.code)) return 'late'
  throw new Error(`no answer but ${status} ${body}`)
}

const ofMcp: Kind = {
  permissions: ['read', 'subscriptions/listen'].map((tool) => ({
    ...{ actions: ['tools/call'], resource: { type: 'tool', id: `${serverName}/${tool}` } },
  })),
  call: written({
    method: 'tools/call',
    params: { name: 'read', arguments: { invoice: 'INV-1' } },
    action: onTool('read', { invoice: 'INV-1' }),
  }),
  directPath: '/mcp',
  outcomeOf,
}
