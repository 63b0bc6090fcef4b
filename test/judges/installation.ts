import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Agent, createAgent } from '@bailiwick/agent'
import { generateKey, writeKeyFile } from '@bailiwick/credentials'
import { pricesHash, pricesSchema } from '@bailiwick/gateway/model-prices'
import { pinServer } from '@bailiwick/gateway/pin'
import { type InitialEntities, paths } from '@bailiwick/installation'
import { systemRandom } from '@bailiwick/kit'
import { openSecrets } from '@bailiwick/relay'
import { sample, sampleAgentId, sampleKey, sampleKeyFile } from '@bailiwick/standalone/sample'
import { type Approver, enrolApprover, freePort, type PlaceOptions, type System, startSystem } from '@bailiwick/testkit'
import { type Running, startScript } from './running.ts'

/** `bailiwick`, as a script. */
export const cli = join(import.meta.dirname, '../../packages/cli/src/main.ts')

/** A server of tools as `gateway.yaml` names it. */
export type Server = ({ url: string } | { command: readonly string[] }) & Readonly<Record<string, unknown>>

/** A tool server's entry in the registry. */
type ToolServer = Extract<InitialEntities[number], { type: 'tool-server' }>['value']

/** Methods that the gateway decides besides the calls of tools, as calls of a tool of this name. */
const methods = [
  'resources/read',
  'resources/subscribe',
  'resources/unsubscribe',
  'prompts/get',
  'completion/complete',
  'subscriptions/listen',
  'stream/open',
  'sampling/createMessage',
  'elicitation/create',
  'roots/list',
]

export interface Installation extends AsyncDisposable {
  system: System
  approver: Approver
  agent: Agent
  /** The gateway's address. */
  url: string
  gateway: Running
  /** The words after `bailiwick` that serve a server on standard input and output, to a client that knows only MCP. */
  sidecar(server: string): string[]
  /** The words after `bailiwick` that run a program as the sample agent, without what it may reach. */
  run(): string[]
  /** Asks for the whole of these servers, and has it approved. */
  grant(...servers: string[]): Promise<{ requestId: string; grantId: string; authority: object }>
}

export interface InstallationOptions {
  servers: Readonly<Record<string, Server>>
  /** What tools are described as, by `<server>/<tool>`. All others are described as harmless. */
  labels?: Readonly<Record<string, string[]>>
  policies?: PlaceOptions['policies']
  /** Providers of models with the API of OpenAI, at these addresses. All have the model `scripted`. */
  models?: Readonly<Record<string, string>>
}

const prices = {
  version: '2026-11-29',
  currency: 'USD',
  models: {
    scripted: { input: '1', output: '1', most_output: 4000, default_output: 1000 },
  },
}
const cost = { amount: '/cost/amount', currency: '/cost/currency' }

/** A permission to call the model of a provider. */
export const modelPermission = (name: string) => ({
  actions: ['model/invoke'],
  resource: { type: 'model', id: `${name}/scripted` },
  cost,
})

/** A provider as `gateway pin` drafts it. */
const providerEntry = (id: string, url: string): ToolServer => ({
  ...{ id, url },
  manifest: pricesHash({ api: 'openai', url, betas: [], prices: pricesSchema.parse(prices) }),
  tools: { scripted: { labels: [], cost }, '*': { labels: [] } },
})

/**
 * A whole installation in this process, and a gateway in its own, as `bailiwick serve gateway` runs it. The servers are pinned as an
 * operator pins them.
 */
export async function openInstallation({
  servers,
  labels = {},
  policies,
  models = {},
}: InstallationOptions): Promise<Installation> {
  await using opened = new AsyncDisposableStack()
  const folder = mkdtempSync(join(tmpdir(), 'judges-'))
  opened.defer(() => rmSync(folder, { recursive: true, force: true }))
  const port = await freePort()
  const url = `http://localhost:${port}`
  const config = join(folder, 'gateway.yaml')
  const pinned = Object.entries(servers).map(([name, server]) => [name, { ...server, pin: `${name}.json` }] as const)
  const providers = Object.entries(models).map(([name, address]) => [name, { api: 'openai', url: address, prices }])
  const file = { keys: 'keys', mcp: Object.fromEntries(pinned), models: Object.fromEntries(providers) }
  writeFileSync(config, JSON.stringify(file))

  const entries = await Promise.all(Object.keys(servers).map((name) => pin(name, config, labels)))
  const keys = { caller: generateKey('pep-caller'), outcome: generateKey('outcome') }
  mkdirSync(join(folder, 'keys'))
  writeKeyFile(join(folder, 'keys'), 'gateway-caller', keys.caller)
  writeKeyFile(join(folder, 'keys'), 'gateway-outcome', keys.outcome)
  const point = {
    id: 'gateway',
    caller_jwk: keys.caller.publicJwk,
    outcome_jwk: keys.outcome.publicJwk,
    resources: [{ type: 'tool' }, { type: 'model' }],
    base_urls: [
      ...Object.keys(servers).map((name) => `${url}/mcp/${name}`),
      ...Object.keys(models).map((name) => `${url}/models/${name}`),
    ],
    may_release: true,
  }

  const system = opened.use(
    await startSystem({
      ...(policies && { policies }),
      entities: (entities) => [
        ...entities,
        ...[...entries, ...Object.entries(models).map(([id, at]) => providerEntry(id, at))].map((value) => ({
          ...{ type: 'tool-server' as const, value },
        })),
        { type: 'enforcement-point', value: point },
      ],
      env: { BAILIWICK_DECISIONS_PER_MINUTE_AGENT: '1000000', BAILIWICK_DECISIONS_PER_MINUTE_GRANT: '1000000' },
    }),
  )
  const approver = await enrolApprover(system)
  const { clock, data, random, trust } = system
  const agent = createAgent({
    agentId: sampleAgentId('reconciler'),
    instance: sample.instance,
    key: sampleKey(data, 'reconciler'),
    installation: trust.installation,
    baseUrl: system.url,
    now: () => clock.now(),
    random,
  })
  const gateway = opened.use(
    startScript(cli, ['serve', 'gateway', '--config', config, '--port', String(port)], {
      BAILIWICK_DATA: data,
      BAILIWICK_TRUST: paths(data).trust,
      BAILIWICK_PUBLIC_URL: url,
    }),
  )
  await gateway.says('"ready"')
  const owned = opened.move()
  return {
    ...{ system, approver, agent, url, gateway },
    sidecar: (server) => [
      ...['agent', 'mcp', '--gateway', url, '--server', server, '--trust', paths(data).trust],
      ...['--agent', `${sampleAgentId('reconciler')}/${sample.instance}`, '--key', sampleKeyFile(data, 'reconciler')],
      ...['--catalogue', join(folder, `${server}.json`)],
    ],
    run: () => [
      ...['agent', 'run', '--gateway', url, '--trust', paths(data).trust, '--data', data],
      ...['--agent', `${sampleAgentId('reconciler')}/${sample.instance}`, '--key', sampleKeyFile(data, 'reconciler')],
    ],
    async grant(...names) {
      const ask = askFor(entries.filter(({ id }) => names.includes(id)))
      const { requestId } = await agent.request(ask)
      const { grant_id: grantId = '' } = await approver.approve(requestId)
      return { requestId, grantId, authority: ask.authority }
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

/** The entry that `bailiwick gateway pin` drafts, described as a person would describe it. */
async function pin(
  name: string,
  config: string,
  labels: NonNullable<InstallationOptions['labels']>,
): Promise<ToolServer> {
  const { env } = process
  const { server } = await pinServer({ name, config, env, secrets: openSecrets({ env }), random: systemRandom })
  const tools = [...Object.keys(server.tools), ...methods]
  const described = tools.map((tool) => [tool, { labels: labels[`${name}/${tool}`] ?? [] }])
  return { ...server, tools: Object.fromEntries(described) }
}

function askFor(servers: readonly ToolServer[]) {
  const permissions = servers.flatMap(({ id, tools }) =>
    Object.keys(tools).map((name) => ({
      actions: ['tools/call'],
      resource: { type: 'tool', id: `${id}/${name}` },
    })),
  )
  return {
    authority: { type: 'bailiwick_task', task: 'judge-these-servers', permissions, budget: { calls: 100_000 } },
    mode: 'window' as const,
    expiresInSeconds: 3600,
    purpose: 'Find out whether the gateway changes what the servers say.',
  }
}
