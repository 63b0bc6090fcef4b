import { type Arrived, RawServer, whole } from '@bailiwick/relay/raw-server'
import { GatewayWorld, type GatewayWorldOptions, upstreamSecret } from './gateway-world.ts'

/** The table of the API `erp`, and what each operation does. */
const operations = {
  read_invoice: { request: 'GET /invoices/{invoice}' },
  export_invoices: { request: 'GET /invoices/export' },
  watch_invoices: { request: 'GET /invoices/{invoice}/changes' },
  create_invoice: { request: 'POST /invoices', body: { json: ['amount', 'currency', 'note'] } },
  pay_invoice: { request: 'POST /invoices/{invoice}/payments', body: { form: ['amount'] } },
  talk: { request: 'GET /rooms/{room}', websocket: true },
}
const tools = {
  read_invoice: { labels: ['reads_private'] },
  export_invoices: { labels: ['reads_private'] },
  watch_invoices: { labels: ['reads_private'] },
  create_invoice: { labels: ['writes'], cost: { amount: '/amount', currency: '/currency' } },
  pay_invoice: { labels: ['writes'] },
  talk: { labels: ['writes'] },
}

/** The host of the API `own`. */
export const ownHost = 'own.test'

/** An API in front of which the gateway stands three times: `erp` by operations, `plain` by URL, `own` by URL at a host of its own. */
export interface ApiWorld extends AsyncDisposable {
  world: GatewayWorld
  /** The API itself, and every byte that it got. */
  api: RawServer
  /** The entries of gateway.yaml, by name. */
  entries: Record<string, { url: string; operations?: object }>
  /** What the sample agent may do: read and create invoices within bounds, and use what lies below `/open/`. */
  authority: object
}

const shown = '{"id":"4711","amount":"12.00","iban":"DE02"}'

export async function openApiWorld({
  answer = ({ socket }) => socket.write(whole(shown)),
  ...options
}: Omit<GatewayWorldOptions, 'apis'> & { answer?: (arrived: Arrived) => void } = {}): Promise<ApiWorld> {
  await using opening = new AsyncDisposableStack()
  const api = opening.use(await RawServer.start(answer))
  const inject = { headers: { authorization: `Bearer \${secret:env:UPSTREAM_SECRET}` } }
  const entries = {
    erp: { url: `${api.url}/erp`, inject, operations, forward: ['idempotency-key'] },
    own: { url: `${api.url}/own`, inject, host: ownHost },
    plain: { url: `${api.url}/plain`, inject },
  }
  const apis = {
    erp: { entry: entries.erp, tools },
    own: { entry: entries.own },
    plain: { entry: entries.plain },
  }
  const world = opening.use(await GatewayWorld.open({ ...options, apis }))
  const owned = opening.move()
  return { world, api, entries, authority: apiAuthority(api.url), [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

const on = (tool: string, more: object = {}) => ({
  actions: ['tools/call'],
  resource: { type: 'tool', id: `erp/${tool}` },
  ...more,
})

const apiAuthority = (url: string) => ({
  type: 'bailiwick_task',
  task: 'reconcile-over-http',
  permissions: [
    on('read_invoice'),
    on('watch_invoices'),
    on('talk', { where: { '/room': { in: ['1', '2'] } } }),
    on('create_invoice', {
      where: { '/amount': { max: '500' }, '/currency': { in: ['EUR'] } },
      cost: { amount: '/amount', currency: '/currency' },
    }),
    on('pay_invoice', { where: { '/amount': { max: '500' } } }),
    ...['plain', 'own'].map((name) => ({
      actions: ['GET', 'POST'],
      resource: { type: 'api', id_prefix: `${url}/${name}/open/` },
    })),
  ],
  budget: { calls: 500, cost: { EUR: '2000.00' } },
  max_depth: 0,
  max_children: 0,
})

export { upstreamSecret }
