import { GatewayWorld, proxySecret } from '../e2e/gateway-world.ts'
import { exchangeRaw, passing, RawAgent, type RawAnswer } from './raw-request.ts'
import { eventually } from './scene.ts'

/** What agents call, at two proxies. */
const forwardAddress = 'http://forward.test'
const envoyAddress = 'http://envoy.test'
const plainUrl = 'http://api.test/plain'

const operations = {
  read_invoice: { request: 'GET /invoices/{invoice}' },
  export_invoices: { request: 'GET /invoices/export' },
  create_invoice: { request: 'POST /invoices', body: { json: ['amount', 'currency'] } },
  search: { request: 'POST /search', body: { json: 'any' } },
  cancel: { request: 'POST /invoices/{invoice}/cancel' },
}
const tools = {
  read_invoice: { labels: ['reads_private'] },
  export_invoices: { labels: ['reads_private'] },
  create_invoice: { labels: ['writes'], cost: { amount: '/amount', currency: '/currency' } },
  search: { labels: [] },
  cancel: { labels: ['writes'] },
}

/** Hides a field of what reads private data: no proxy can do that. */
const policies = `
@id("no-accounts") @redact("iban")
permit (principal is agent, action == Action::"tools/call", resource is tool)
when { resource.labels.contains("reads_private") };
`

/** Two proxies before one API, each by URL and, below `/erp`, by operations. */
const entries = {
  forward: { address: forwardAddress, url: plainUrl },
  'forward-erp': { address: `${forwardAddress}/erp`, url: 'http://api.test/erp', operations },
  envoy: { address: envoyAddress, url: plainUrl, proxy: 'envoy', body: 'shown' },
  'envoy-erp': {
    ...{ address: `${envoyAddress}/erp`, url: 'http://api.test/erp', operations },
    ...{ proxy: 'envoy', body: 'shown' },
  },
}
export type Entry = keyof typeof entries
const isErp = (entry: Entry) => entry.endsWith('-erp')

const on = (server: string, tool: string, more: object = {}) => ({
  actions: ['tools/call'],
  resource: { type: 'tool', id: `${server}/${tool}` },
  ...more,
})
/** At most 10 EUR in all. */
export const proxyAuthority = {
  type: 'bailiwick_task',
  task: 'reconcile-through-a-proxy',
  permissions: [
    { actions: ['GET', 'POST'], resource: { type: 'api', id_prefix: `${plainUrl}/open/` } },
    {
      actions: ['POST'],
      resource: { type: 'api', id: `${plainUrl}/bounded` },
      where: { '/body/amount': { max: '500' } },
    },
    {
      actions: ['POST'],
      resource: { type: 'api', id: `${plainUrl}/paged` },
      where: { '/query/page': { max: '9' } },
      arguments: 'closed',
    },
    ...['forward-erp', 'envoy-erp'].flatMap((server) => [
      on(server, 'read_invoice'),
      on(server, 'search'),
      on(server, 'cancel'),
      on(server, 'create_invoice', {
        where: { '/amount': { max: '500' }, '/currency': { in: ['EUR'] } },
        cost: { amount: '/amount', currency: '/currency' },
      }),
    ]),
  ],
  budget: { calls: 500, cost: { EUR: '10.00' } },
  max_depth: 0,
  max_children: 0,
}

export interface Ask {
  entry?: Entry
  method?: string
  /** The request target that the proxy shows. */
  target?: string
  /** The path that the proof is for, with the base of the entry. */
  path?: string
  body?: string
  /** In place of the fields that the proxy would send. */
  fields?: (fields: string[]) => string[]
  /** The whole request line. */
  line?: string
}

/** A proxy that asks the gateway, and whose client is an agent with a credential that allows something. */
export class AskingProxy implements AsyncDisposable {
  readonly world: GatewayWorld
  readonly agent: RawAgent

  private constructor(world: GatewayWorld, agent: RawAgent) {
    this.world = world
    this.agent = agent
  }

  static async open(): Promise<AskingProxy> {
    await using opening = new AsyncDisposableStack()
    const secret = `\${secret:env:PROXY_SECRET}`
    const authorize = Object.fromEntries(
      Object.entries(entries).map(([name, entry]) => [
        name,
        { entry: { ...entry, secret }, ...('operations' in entry ? { tools } : {}) },
      ]),
    )
    const world = opening.use(
      await GatewayWorld.open({
        authorize,
        system: { policies: (starter) => new Map([...starter, ['zz.cedar', Buffer.from(policies)]]) },
      }),
    )
    const { grantId } = await world.granted(proxyAuthority)
    const agent = await RawAgent.open(world, grantId)
    opening.move()
    return new AskingProxy(world, agent)
  }

  /** What the gateway answers. Asked again while a busy machine keeps it from deciding. */
  async ask(made: Ask): Promise<RawAnswer & { denied: string | undefined }> {
    const answer = await eventually('it is decided', async () => {
      const given = await this.#send(made)
      const [, nonce] = /\r\ndpop-nonce: (\S+)/i.exec(given.head) ?? []
      if (nonce !== undefined) this.agent.nonce = nonce
      return nonce !== undefined || passing.has(given.code ?? '') ? undefined : given
    })
    const [, denied] = /\r\nbailiwick-denied: (\S+)/i.exec(answer.head) ?? []
    return { ...answer, denied }
  }

  #send({ entry = 'forward', method = 'GET', target, path, body, fields, line }: Ask): Promise<RawAnswer> {
    const { url } = this.world
    const isEnvoy = entry.startsWith('envoy')
    const shown = target ?? (isErp(entry) ? '/erp/invoices/1' : '/open/x')
    const proofFor = `${new URL(entries[entry].address).origin}${path ?? shown.split('?')[0]}`
    const typed = body === undefined ? [] : ['Content-Type: application/json']
    const usual = [
      `Bailiwick-Proxy: ${proxySecret}`,
      'Accept: application/json',
      'Connection: close',
      ...this.agent.fields(method, proofFor),
      ...(isEnvoy
        ? [`Host: ${new URL(envoyAddress).host}`, `Content-Length: ${Buffer.byteLength(body ?? '')}`, ...typed]
        : [
            `Host: ${new URL(url).host}`,
            `X-Forwarded-Method: ${method}`,
            `X-Forwarded-Uri: ${shown}`,
            `X-Forwarded-Host: ${new URL(forwardAddress).host}`,
            ...typed,
          ]),
      ...(isEnvoy && body !== undefined ? ['X-Envoy-Auth-Partial-Body: false'] : []),
    ]
    const own = isEnvoy ? `${method} /authorize/${entry}${shown} HTTP/1.1` : `GET /authorize/${entry} HTTP/1.1`
    const made = { line: line ?? own, fields: fields?.(usual) ?? usual }
    return exchangeRaw(url, isEnvoy && body !== undefined ? { ...made, body } : made)
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    return this.world[Symbol.asyncDispose]()
  }
}
