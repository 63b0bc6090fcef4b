import { GatewayWorld, proxySecret } from '../e2e/gateway-world.ts'
import { checkPath, checkRequest, framed, GrpcClient, readCheck, type Shown } from './envoy-client.ts'
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
  'envoy-unseen': { address: envoyAddress, url: plainUrl, proxy: 'envoy' },
  'envoy-logged': { address: envoyAddress, url: plainUrl, proxy: 'envoy', body: 'shown', log_seconds: 600 },
  'envoy-hasty': { address: envoyAddress, url: plainUrl, proxy: 'envoy', body: 'shown', log_seconds: 1 },
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

/** Spellings of a path that are read in two ways, each with the reason for which it is refused. */
export const spellings: [string, string | undefined, string][] = [
  ['two slashes (2026-26205)', 'path_segment_empty', '/open//x'],
  ['two slashes at the beginning', undefined, '//open/x'],
  ['a segment of one dot (2026-63177)', 'path_segment_dots', '/./open/x'],
  ['a segment of two dots', 'path_segment_dots', '/open/../secret'],
  ['escaped dots', 'path_escape_forbidden', '/open/%2e%2e/secret'],
  ['an escaped slash (2026-2880)', 'path_escape_forbidden', '/open/..%2Fsecret'],
  ['a slash that is escaped twice (2026-6414)', 'path_escape_forbidden', '/open/..%252Fsecret'],
  ['a backslash', 'path_character_forbidden', '/open/..\\secret'],
  ['dots with a parameter', 'path_character_forbidden', '/open/..;/secret'],
  ['a parameter of the path', 'path_character_forbidden', '/open;a=b/x'],
  ['an escape of a letter', 'path_escape_needless', '/%6Fpen/x'],
  ['an escape in small letters (2026-27587)', 'path_escape_case', '/open/%c3%a9'],
  ['an escaped end of text', 'path_escape_forbidden', '/open/x%00.json'],
  ['an escaped question mark (2026-32811)', 'path_escape_forbidden', '/open/x%3Fadmin=1'],
  ['a fragment (Envoy 2021-32779)', 'target_form_forbidden', '/open/x#/../../secret'],
  ['a parameter twice', 'query_name_repeated', '/open/x?user=me&user=you'],
  ['parameters separated by ;', 'query_not_canonical', '/open/x?a=1;admin=1'],
  ['a parameter that names another method', 'query_not_canonical', '/open/x?_method=DELETE'],
  ['a path beside what was granted', 'action_not_granted', '/secret'],
  ['a path that begins like what was granted', 'action_not_granted', '/open-too'],
  ['an escape below what was granted', 'action_not_granted', '/open/a%20b'],
]
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

/** A request that Envoy asks about over gRPC. */
export interface GrpcAsk extends Omit<Ask, 'line'> {
  /** In place of what Envoy would say. */
  shown?: (shown: Shown) => Shown
  /** In place of the message that says it. */
  bytes?: (message: Buffer) => Uint8Array
  metadata?: Record<string, string | string[]>
}

export interface Told {
  /** Of the answer to the client; 200 if the request may go on. Undefined: an error of gRPC. */
  status: number | undefined
  denied: string | undefined
  fields: string[]
  removed: string[]
  mark: string | undefined
}

/** A proxy that asks the gateway, and whose client is an agent with a credential that allows something. */
export class AskingProxy implements AsyncDisposable {
  readonly world: GatewayWorld
  readonly agent: RawAgent

  /** To the gateway, as Envoy has one. */
  readonly grpc: GrpcClient

  private constructor(world: GatewayWorld, agent: RawAgent, grpc: GrpcClient) {
    this.world = world
    this.agent = agent
    this.grpc = grpc
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
        grpc: true,
        system: { policies: (starter) => new Map([...starter, ['zz.cedar', Buffer.from(policies)]]) },
      }),
    )
    const { grantId } = await world.granted(proxyAuthority)
    const agent = await RawAgent.open(world, grantId)
    const grpc = new GrpcClient(world.gateway.grpcUrl ?? '')
    opening.move()
    return new AskingProxy(world, agent, grpc)
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

  /** What the gateway answers over gRPC. */
  async askGrpc(made: GrpcAsk, client = this.grpc): Promise<Told> {
    return eventually('it is decided', async () => {
      const { messages } = await client.call(checkPath, this.metadata(made), framed(this.#message(made)))
      const [message] = messages
      const { fields = [], ...told } = message === undefined ? {} : readCheck(message)
      const fieldNamed = (name: string) => fields.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2)
      const nonce = fieldNamed('dpop-nonce')
      if (nonce !== undefined) this.agent.nonce = nonce
      const denied = fieldNamed('bailiwick-denied')
      if (nonce !== undefined || passing.has(denied ?? '')) return undefined
      return { status: undefined, removed: [], mark: undefined, ...told, fields, denied }
    })
  }

  metadata({ entry = 'envoy', metadata }: GrpcAsk = {}): Record<string, string | string[]> {
    return { 'bailiwick-proxy': proxySecret, 'bailiwick-entry': entry, ...metadata }
  }

  /** What Envoy would send. */
  #message({ entry = 'envoy', method = 'GET', target, path, body, fields, shown, bytes }: GrpcAsk): Uint8Array {
    const asked = target ?? (isErp(entry) ? '/erp/invoices/1' : '/open/x')
    const proofFor = `${envoyAddress}${path ?? asked.split('?')[0]}`
    const { host } = new URL(envoyAddress)
    const usual = [
      'Accept: application/json',
      ...this.agent.fields(method, proofFor),
      ...(body === undefined
        ? []
        : [
            `Content-Length: ${Buffer.byteLength(body)}`,
            'Content-Type: application/json',
            'X-Envoy-Auth-Partial-Body: false',
          ]),
    ]
    const said: Shown = { method, path: asked, host, fields: fields?.(usual) ?? usual, body }
    const message = checkRequest(shown?.(said) ?? said)
    return bytes?.(message) ?? message
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

  async [Symbol.asyncDispose](): Promise<void> {
    await this.grpc[Symbol.asyncDispose]()
    await this.world[Symbol.asyncDispose]()
  }
}
