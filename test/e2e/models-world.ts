import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Agent, createAgent } from '@bailiwick/agent'
import { formatMicros, parseMicros } from '@bailiwick/authority'
import { generateKey, writeKeyFile } from '@bailiwick/credentials'
import { configSchema } from '@bailiwick/gateway/config'
import { ModelFixture } from '@bailiwick/gateway/model-fixture'
import { pricesHash, pricesSchema } from '@bailiwick/gateway/model-prices'
import { type Gateway, startGateway } from '@bailiwick/gateway/start'
import { type Logger, logger as makeLogger, metrics, readConfig } from '@bailiwick/host'
import { paths } from '@bailiwick/installation'
import { systemClock, systemRandom } from '@bailiwick/kit'
import { openSecrets } from '@bailiwick/relay'
import { sample } from '@bailiwick/standalone/sample'
import { sampleAgent } from '@bailiwick/standalone/sample-agent'
import { type Approver, enrolApprover, freePort, type System, startSystem } from '@bailiwick/testkit'
import { audit, readLog } from '../audit.ts'
import { openAdapters } from './adapters-under-test.ts'
import { type SubAgent, SubAgents } from './sub-agents.ts'

/** A million tokens of input cost 1 USD, a million of output 100. */
export const modelPrices = {
  version: '2026-11-29',
  currency: 'USD',
  models: {
    small: { input: '1', output: '100', most_output: 4000, default_output: 1000 },
    vectors: { input: '100', embeddings: true as const },
    seeing: {
      ...{ input: '1', output: '100', cache_write: '2', most_output: 4000, image_tokens: 1000 },
      outside: { web_search: '0.01' },
    },
  },
}

const cost = { amount: '/cost/amount', currency: '/cost/currency' }
const on = (id: string, actions: readonly string[] = ['model/invoke', 'model/count'], more: object = { cost }) => ({
  actions,
  resource: { type: 'model', id },
  ...more,
})

/** What an agent may do with models: invoke and count at both providers, list at one, for this many dollars together. */
export const modelsAuthority = (dollars = '1', more: object = {}) => ({
  type: 'bailiwick_task',
  task: 'think',
  permissions: [
    ...['acme', 'claudish'].flatMap((name) => ['small', 'seeing', 'vectors'].map((model) => on(`${name}/${model}`))),
    on('acme/*', ['model/list']),
  ],
  budget: { calls: 1000, cost: { USD: dollars } },
  max_depth: 2,
  max_children: 16,
  ...more,
})

const providers = { acme: 'openai', claudish: 'anthropic' } as const

interface Made {
  system: System
  approver: Approver
  provider: ModelFixture
  /** The gateways, all at the same point: the first is at `url`. */
  urls: string[]
  gateways: Gateway[]
  subAgents: SubAgents
}

export interface ModelsWorldOptions {
  logger?: Logger
  /** How many gateways, each in front of the same provider. */
  gateways?: number
  /** Further members of a provider's entry. */
  entry?: object
  /** Further members of the entry of one provider. */
  entryOf?: Partial<Record<keyof typeof providers, object>>
  /** Other prices than those that people signed. */
  served?: object
  /** Further settings of the gateways. */
  env?: Readonly<Record<string, string>>
}

let asks = 0

type GrantName = NonNullable<Parameters<Agent['fetch']>[2]['grant']>
export interface AskOptions {
  agent?: Agent
  gateway?: number
  signal?: AbortSignal
  headers?: Record<string, string>
}

/** What a busy machine brings about, and nothing else does in these tests. */
const passing = ['deadline_exceeded', 'pdp_unavailable', 'state_stale', 'queue_full', 'credential_unrecorded']

/** A real installation, gateways in front of one fake provider in both shapes, a person, and an agent with sub-agents. */
export class ModelsWorld implements AsyncDisposable {
  readonly system: System
  readonly approver: Approver
  readonly provider: ModelFixture
  readonly urls: readonly string[]
  readonly gateways: readonly Gateway[]
  readonly #subAgents: SubAgents
  readonly #owned: AsyncDisposable

  private constructor({ system, approver, provider, urls, gateways, subAgents }: Made, owned: AsyncDisposable) {
    this.system = system
    this.approver = approver
    this.provider = provider
    this.urls = urls
    this.gateways = gateways
    this.#subAgents = subAgents
    this.#owned = owned
  }

  static async open({
    logger,
    gateways = 1,
    entry,
    entryOf,
    served,
    env: settings,
  }: ModelsWorldOptions = {}): Promise<ModelsWorld> {
    await using opening = new AsyncDisposableStack()
    const folder = mkdtempSync(join(tmpdir(), 'bailiwick-models-'))
    opening.defer(() => rmSync(folder, { recursive: true, force: true }))
    const provider = opening.use(await ModelFixture.start())
    const subAgents = new SubAgents(5)
    const field = { openai: 'authorization', anthropic: 'x-api-key' }
    const entries = Object.entries(providers).map(([name, api]) => {
      const value = `${api === 'openai' ? 'Bearer ' : ''}\${secret:env:PROVIDER_KEY}`
      const common = {
        api,
        url: `${provider.url}/`,
        inject: { headers: { [field[api]]: value } },
        ...entry,
        ...entryOf?.[name as keyof typeof providers],
      }
      return [name, { ...common, prices: { ...modelPrices, ...served } }] as const
    })
    const servers = Object.entries(providers).map(([id, api]) => ({
      type: 'tool-server',
      value: {
        ...{ id, url: `${provider.url}/` },
        manifest: pricesHash({ api, url: `${provider.url}/`, betas: [], prices: pricesSchema.parse(modelPrices) }),
        tools: Object.fromEntries(
          [...Object.keys(modelPrices.models), '*'].map((model) => [model, { labels: [], cost }]),
        ),
      },
    }))
    const ports = await Promise.all(Array.from({ length: gateways }, () => freePort()))
    const urls = ports.map((port) => `http://localhost:${port}`)
    const points = urls.map((_, n) => (n === 0 ? 'gateway' : `gateway-${n}`))
    const registered = points.map((id, n) => {
      const [caller, outcome] = [generateKey('pep-caller'), generateKey('outcome')]
      writeKeyFile(join(folder, 'keys'), `${id}-caller`, caller)
      writeKeyFile(join(folder, 'keys'), `${id}-outcome`, outcome)
      const value = {
        ...{ id, caller_jwk: caller.publicJwk, outcome_jwk: outcome.publicJwk, may_release: true },
        resources: Object.keys(providers).map((name) => ({ type: 'model', id_prefix: `${name}/` })),
        base_urls: Object.keys(providers).map((name) => `${urls[n]}/models/${name}`),
      }
      return { type: 'enforcement-point', value }
    })
    const { bus, store: grantStore } = opening.use(await openAdapters())
    const system = opening.use(
      await startSystem({
        adapters: { bus, grantStore },
        entities: (known) => [...subAgents.entities(known), ...servers, ...registered] as never,
        ...(logger === undefined ? {} : { logger }),
      }),
    )
    const env = { PROVIDER_KEY: provider.secret }
    const opened: Gateway[] = []
    for (const [n, id] of points.entries()) {
      const file = join(folder, `${id}.yaml`)
      const trust = join(system.data, 'trust.json')
      writeFileSync(file, JSON.stringify({ point: id, trust, models: Object.fromEntries(entries) }))
      const config = readConfig(configSchema, {
        BAILIWICK_DATA: join(folder, `data-${id}`),
        BAILIWICK_PORT: String(ports[n]),
        BAILIWICK_GATEWAY_CONFIG: file,
        ...settings,
      })
      const gateway = opening.use(
        await startGateway(config, {
          ...{ clock: system.clock ?? systemClock, random: systemRandom, env, secrets: openSecrets({ env }) },
          logger: logger ?? makeLogger({ service: 'gateway', level: 'silent' }),
          metrics: metrics({ service: 'gateway', processMetrics: false }),
        }),
      )
      opened.push(gateway)
    }
    const approver = await enrolApprover(system)
    return new ModelsWorld({ system, approver, provider, urls, gateways: opened, subAgents }, opening.move())
  }

  /** Calls a provider through a gateway, once; again only while a busy machine keeps it from being decided. */
  async ask(
    grant: GrantName,
    path: string,
    body: object | string,
    { agent = this.agent(), gateway = 0, signal, headers = {} }: AskOptions = {},
  ): Promise<Response> {
    const init = {
      method: 'POST',
      body: typeof body === 'string' ? body : JSON.stringify(body),
      headers: { 'content-type': 'application/json', ...headers },
      ...(signal === undefined ? {} : { signal }),
    }
    for (let tries = 1; ; tries++) {
      const response = await agent.fetch(`${this.urls[gateway]}/models${path}`, init, { grant, patienceMs: 0 })
      const text = response.ok ? '' : await response.clone().text()
      if (tries === 20 || !passing.some((code) => text.includes(`"code":"${code}"`))) return response
      await new Promise((resolve) => setTimeout(resolve, 300))
    }
  }

  agent(): Agent {
    return sampleAgent(this.system.host, 'reconciler')
  }

  /** A grant, approved by the person. */
  async granted(
    authority: object = modelsAuthority(),
    agent = this.agent(),
  ): Promise<{ requestId: string; grantId: string }> {
    const signed = agent.signRequest({ authority, mode: 'window', expiresInSeconds: 3600 - (++asks % 600) } as never)
    const { requestId } = await agent.request(signed)
    const { grant_id: grantId } = await this.approver.approve(requestId)
    if (grantId === undefined) throw new Error('there is no grant')
    return { requestId, grantId }
  }

  subAgent(n: number): { agent: Agent; id: string; key: SubAgent['key'] } {
    const { id, key } = this.#subAgents.at(n)
    const { trust, clock, random } = this.system.host
    const agent = createAgent({
      agentId: id.slice(0, id.lastIndexOf('/')),
      instance: sample.instance,
      key,
      installation: trust.installation,
      baseUrl: trust.public_url,
      now: () => clock.now(),
      random,
    })
    return { agent, id, key }
  }

  /** Every event of the log, as text. */
  async everything(): Promise<string> {
    const { data, trust } = this.system
    const { entries } = await readLog(paths(data).log, trust.log.vkey)
    const texts = entries.map((bytes) => Buffer.from(bytes).toString())
    const signed = texts.flatMap((text) =>
      [...text.matchAll(/ey[\w-]{20,}/g)].map(([part]) => Buffer.from(part, 'base64url').toString()),
    )
    return [...texts, ...signed].join('\n')
  }

  /** The decisions and outcomes of a grant that the log holds, in order. */
  async story(grantId: string): Promise<Told[]> {
    const { data, trust } = this.system
    const { entries } = await readLog(paths(data).log, trust.log.vkey)
    const events = entries.map((bytes) => JSON.parse(Buffer.from(bytes).toString()) as Told)
    return events.filter(({ partitionkey, type }) => partitionkey === grantId && /^(decision|outcome)\./.test(type))
  }

  /** The money of a grant that was taken and not given back, in USD, once the log has this many calls and all their outcomes. */
  async spent(grantId: string, calls: number): Promise<string> {
    for (let tries = 0; ; tries++) {
      const told = await this.story(grantId)
      const of = (type: string) => told.filter((each) => each.type === type)
      const back = new Set(of('decision.abandoned').map(({ data }) => data.decision_id))
      const allowed = of('decision.allowed').filter(({ data }) => !back.has(data.decision_id))
      const reported = of('outcome.reported')
      if (allowed.length >= calls && allowed.length === reported.length)
        return formatMicros(sum(allowed, 'reserved') - sum(reported, 'released'))
      if (tries === 300) throw new Error(`not all of it is on the log: ${JSON.stringify(told)}`)
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
  }

  /** What the oracle finds in all of the log. */
  async findings(): Promise<unknown[]> {
    const at = paths(this.system.data)
    return (await audit({ logDir: at.log, trustPath: at.trust })).findings
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    return this.#owned[Symbol.asyncDispose]()
  }
}

type Amounts = { cost: Record<string, string> }

/** What a test reads of an event. */
export interface Told {
  type: string
  partitionkey: string
  data: {
    decision_id?: string
    reason?: string
    status?: string
    reserved?: Amounts
    released?: Amounts
    outcome?: string
    action?: { name: string; resource: { id: string } }
  }
}

const sum = (told: readonly Told[], amounts: 'reserved' | 'released'): bigint =>
  told.reduce((total, { data }) => total + (parseMicros(data[amounts]?.cost.USD ?? '0') ?? 0n), 0n)
