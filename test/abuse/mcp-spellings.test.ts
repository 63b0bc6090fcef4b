import { once } from 'node:events'
import { request } from 'node:http'
import { encodeBase64url, makeDpopProof } from '@bailiwick/credentials'
import { systemRandom } from '@bailiwick/kit'
import { sampleKey } from '@bailiwick/standalone/sample'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { GatewayWorld } from '../e2e/gateway-world.ts'
import { projectAdapters } from './scene.ts'

/*
 * One request, two readings: what is decided must be what is sent. Each attack asks for something that the grant allows in one reading, and
 * for `delete`, which it does not allow, in another. Nothing of it may reach the server, and no tool may do anything.
 */

let world: GatewayWorld
let grantId: string
let token: string
let nonce: string | undefined
let session: string
beforeAll(async () => {
  world = await GatewayWorld.open({ adapters: projectAdapters })
  ;({ grantId } = await world.granted())
  token = (await world.agent().credential({ grantId })).token
  session = (await begin()) ?? ''
})
afterAll(() => world?.[Symbol.asyncDispose]())

const meta = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
}

interface Attack {
  era?: 'legacy' | 'modern'
  method?: string
  path?: string
  body?: string | Buffer
  /** Instead of the fields that the request would have. */
  headers?: (fields: string[]) => string[]
  htu?: string
  htm?: string
}

const bodyOf = (era: 'legacy' | 'modern', params: object = { name: 'read', arguments: {} }, method = 'tools/call') =>
  JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: era === 'modern' ? { ...params, _meta: meta } : params })

const modernFields = ['mcp-protocol-version', '2026-07-28', 'mcp-method', 'tools/call', 'mcp-name', 'read']

function proof(htm: string, htu: string): string {
  const jti = encodeBase64url(systemRandom(16))
  return makeDpopProof(
    { htm, htu, jti, now: Date.now(), accessToken: token, nonce },
    sampleKey(world.system.data, 'reconciler'),
  )
}

async function sendOnce({
  era = 'modern',
  method = 'POST',
  path = '/mcp/billing',
  body,
  headers = (fields) => fields,
  htu,
  htm,
}: Attack) {
  const bytes = Buffer.from(body ?? bodyOf(era))
  const fields = [
    ...[
      'host',
      new URL(world.url).host,
      'content-type',
      'application/json',
      'accept',
      'application/json, text/event-stream',
    ],
    ...['authorization', `DPoP ${token}`, 'dpop', proof(htm ?? method, htu ?? `${world.url}/mcp/billing`)],
    ...(era === 'modern' ? modernFields : ['mcp-session-id', session]),
    ...['content-length', String(bytes.length)],
  ]
  const sending = request(world.url, {
    method,
    path,
    headers: headers(fields) as never,
    setDefaultHeaders: false,
  } as never)
  sending.end(bytes)
  const [response] = await once(sending, 'response')
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk)
  const text = Buffer.concat(chunks).toString()
  const given = response.headers['dpop-nonce']
  return { status: response.statusCode as number, headers: response.headers, text, given }
}

async function send(attack: Attack) {
  const first = await sendOnce(attack)
  if (first.given === undefined) return first
  nonce = String(first.given)
  return sendOnce(attack)
}

async function begin(): Promise<string | undefined> {
  const body = bodyOf(
    'legacy',
    { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } },
    'initialize',
  )
  const { headers } = await send({ era: 'legacy', body, headers: (fields) => without(fields, 'mcp-session-id') })
  return headers['mcp-session-id'] as string | undefined
}

/** What came back, and what reached the server: calls of tools, and effects. */
async function attack(made: Attack) {
  const { state } = world.http
  const [before, arrived] = [state.effects.length, world.http.bodiesOfCalls().length]
  const answer = await send(made)
  let code: unknown
  try {
    const message = JSON.parse(answer.text)
    code = message.error?.data?.code ?? message.code
  } catch {
    code = undefined
  }
  return {
    status: answer.status,
    code,
    effects: state.effects.length - before,
    calls: world.http.bodiesOfCalls().length - arrived,
  }
}

const without = (fields: string[], name: string) => fields.filter((_, n) => fields[n - (n % 2)] !== name)
const replaced = (fields: string[], name: string, ...values: string[]) => [
  ...without(fields, name),
  ...values.flatMap((value) => [name, value]),
]
const raw = (params: string, rest = '"method":"tools/call"') =>
  `{"jsonrpc":"2.0","id":1,${rest},"params":${params.replace(/\}$/, `,"_meta":${JSON.stringify(meta)}}`)}}`

it.each(['legacy', 'modern'] as const)(
  'the control: without an attack the same request has its effect (%s)',
  async (era) => {
    await expect.poll(() => attack({ era })).toMatchObject({ status: 200, code: undefined, effects: 1 })
  },
)

describe.each<[string, (era: 'legacy' | 'modern') => Attack, number?]>([
  ['two methods', () => ({ body: raw('{"name":"read"}', '"method":"tools/call","method":"tools/call"') })],
  ['two names', () => ({ body: raw('{"name":"delete","name":"read"}') })],
  ['two names, one escaped', () => ({ body: raw('{"na\\u006de":"delete","name":"read"}') })],
  ['two names that differ in case', () => ({ body: raw('{"name":"read","Name":"delete"}') })],
  ['two arguments', () => ({ body: raw('{"name":"read","arguments":{"a":1,"a":2}}') })],
  ['arguments that differ in case', () => ({ body: raw('{"name":"read","arguments":{"a":1,"A":2}}') })],
  [
    'arguments that differ in their form of Unicode',
    () => ({ body: raw('{"name":"read","arguments":{"\u00e9":1,"e\u0301":2}}') }),
  ],
  ['two parameters', () => ({ body: raw('{"name":"read"}').replace(/\}$/, ',"params":{"name":"delete"}}') })],
  ['another case of params', () => ({ body: raw('{"name":"read"}').replace(/\}$/, ',"Params":{"name":"delete"}}') })],
  ['a second document', () => ({ body: `${bodyOf('modern')}${bodyOf('modern', { name: 'delete' })}` })],
  ['a list of messages', () => ({ body: `[${bodyOf('modern')},${bodyOf('modern', { name: 'delete' })}]` })],
  ['a list of one', () => ({ body: `[${bodyOf('modern')}]` })],
  ['lines of messages', () => ({ body: `${bodyOf('modern')}\n${bodyOf('modern', { name: 'delete' })}` })],
  ['a byte order mark', () => ({ body: `\ufeff${bodyOf('modern')}` })],
  ['UTF-16', () => ({ body: Buffer.from(bodyOf('modern'), 'utf16le') })],
  [
    'bytes that are no UTF-8',
    () => ({ body: Buffer.from(bodyOf('modern', { name: 'read', arguments: { a: '\u00e9' } }), 'latin1') }),
  ],
  [
    'an overlong form',
    () => ({
      body: Buffer.concat([
        Buffer.from('{"jsonrpc":"2.0","id":1,"method":"tools'),
        Buffer.from([0xc0, 0xaf]),
        Buffer.from('call","params":{"name":"read"}}'),
      ]),
    }),
  ],
  ['a lone surrogate', () => ({ body: raw('{"name":"read","arguments":{"a":"\\ud800"}}') })],
  ['an integer that doubles round', () => ({ body: raw('{"name":"read","arguments":{"a":9007199254740993}}') })],
  ['a fraction that doubles round', () => ({ body: raw('{"name":"read","arguments":{"a":500.00000000000000001}}') })],
  ['a number beyond all', () => ({ body: raw('{"name":"read","arguments":{"a":1e400}}') })],
  ['not a number', () => ({ body: raw('{"name":"read","arguments":{"a":NaN}}') })],
  ['minus nothing', () => ({ body: raw('{"name":"read","arguments":{"a":-0}}') })],
  ['__proto__', () => ({ body: raw('{"name":"read","arguments":{"__proto__":{"a":1}}}') })],
  ['a comment', () => ({ body: raw('{"name":"read"/*,"name":"delete"*/}') })],
  ['a comma too many', () => ({ body: raw('{"name":"read",}') })],
  ['single quotes', () => ({ body: raw(`{'name':'read'}`) })],
  ['depth', () => ({ body: raw(`{"name":"read","arguments":{"a":${'['.repeat(200)}${']'.repeat(200)}}}`) })],
  ['a parameter that no action has', () => ({ body: raw('{"name":"read","tool":"delete"}') })],
  ['a task', () => ({ body: raw('{"name":"read","task":{"ttl":60}}') })],
  [
    'an argument that is named like the state of a round',
    () => ({ body: raw('{"name":"read","arguments":{"requestState":"x"},"requestState":"y"}') }),
  ],
  ['parameters as a list', () => ({ body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":["delete"]}` })],
  ['arguments as a text', () => ({ body: raw('{"name":"read","arguments":"{}"}') })],
  ['arguments as a list', () => ({ body: raw('{"name":"read","arguments":[{}]}') })],
  ['an id that is an object', () => ({ body: bodyOf('modern').replace('"id":1', '"id":{}') })],
  ['no id, so that it looks like a notification', () => ({ body: bodyOf('modern').replace('"id":1,', '') })],
  ['a result beside the method', () => ({ body: bodyOf('modern').replace('"id":1', '"id":1,"result":{}') })],
  ['another version of JSON-RPC', () => ({ body: bodyOf('modern').replace('"2.0"', '"2.1"') })],
  ['a method with other letters', () => ({ body: bodyOf('modern', { name: 'read' }, 'tools/c\u0430ll') })],
  ['a method with a space', () => ({ body: bodyOf('modern', { name: 'read' }, 'tools/call ') })],
  ['a method in capitals', () => ({ body: bodyOf('modern', { name: 'read' }, 'TOOLS/CALL') })],
  ['a tool with other letters', () => ({ body: bodyOf('modern', { name: 're\u0430d' }) })],
  ['a tool with a path', () => ({ body: bodyOf('modern', { name: '../local/read' }) })],
  ['a tool with a byte of nothing', () => ({ body: bodyOf('modern', { name: 'read\u0000' }) })],
  ['a tool of the gateway', () => ({ body: bodyOf('modern', { name: 'bailiwick_request_access' }) })],
  ['a body that is empty', () => ({ body: '' })],
  ['Mcp-Method of another method', () => ({ headers: (f) => replaced(f, 'mcp-method', 'tools/list') })],
  ['Mcp-Name of another tool', () => ({ headers: (f) => replaced(f, 'mcp-name', 'delete') })],
  ['Mcp-Name of another tool, encoded', () => ({ headers: (f) => replaced(f, 'mcp-name', '=?base64?ZGVsZXRl?=') })],
  ['Mcp-Name with a second spelling', () => ({ headers: (f) => replaced(f, 'mcp-name', '=?base64?cmVhZB==?=') })],
  ['two Mcp-Names', () => ({ headers: (f) => replaced(f, 'mcp-name', 'read', 'delete') })],
  ['two Mcp-Methods', () => ({ headers: (f) => replaced(f, 'mcp-method', 'tools/call', 'tools/list') })],
  ['two versions', () => ({ headers: (f) => replaced(f, 'mcp-protocol-version', '2026-07-28', '2025-11-25') })],
  [
    'a version that the body does not say',
    () => ({ headers: (f) => replaced(f, 'mcp-protocol-version', '2025-11-25') }),
  ],
  ['a version from tomorrow', () => ({ headers: (f) => replaced(f, 'mcp-protocol-version', '2099-01-01') })],
  [
    'an argument that its field contradicts',
    () => ({
      body: bodyOf('modern', { name: 'adjust', arguments: { amount: 5, currency: 'EUR' } }),
      headers: (f) => [...replaced(f, 'mcp-name', 'adjust'), 'mcp-param-amount', '499'],
    }),
  ],
  [
    'an argument without its field',
    () => ({
      body: bodyOf('modern', { name: 'adjust', arguments: { amount: 5, currency: 'EUR' } }),
      headers: (f) => replaced(f, 'mcp-name', 'adjust'),
    }),
  ],
  ['another content type', () => ({ headers: (f) => replaced(f, 'content-type', 'text/plain') })],
  [
    'a content type with a tab',
    () => ({ headers: (f) => replaced(f, 'content-type', 'application/json\t; charset=utf-8') }),
  ],
  [
    'a content type of another charset',
    () => ({ headers: (f) => replaced(f, 'content-type', 'application/json; charset=utf-16') }),
  ],
  ['two content types', () => ({ headers: (f) => replaced(f, 'content-type', 'application/json', 'text/plain') })],
  ['an encoded body', () => ({ headers: (f) => [...f, 'content-encoding', 'gzip'] })],
  ['a method in a field', () => ({ headers: (f) => [...f, 'x-http-method-override', 'DELETE'] })],
  ['a field that Connection names', () => ({ headers: (f) => [...f, 'connection', 'mcp-name'] })],
  ['two credentials', () => ({ headers: (f) => [...f, 'authorization', `DPoP ${token}`] })],
  ['a bearer token', () => ({ headers: (f) => replaced(f, 'authorization', `Bearer ${token}`) })],
  ['two proofs', () => ({ headers: (f) => [...f, 'dpop', proof('POST', `${world.url}/mcp/billing`)] })],
  ['no proof', () => ({ headers: (f) => without(f, 'dpop') })],
  ['a proof for another server', () => ({ htu: `${world.url}/mcp/local` })],
  ['a proof for another method', () => ({ htm: 'GET' })],
  ['a page of another site', () => ({ headers: (f) => [...f, 'origin', 'https://evil.example'] })],
  ['another host', () => ({ headers: (f) => replaced(f, 'host', 'evil.example') })],
  ['a query', () => ({ path: '/mcp/billing?x=1' })],
  ['a path with an escape', () => ({ path: '/mcp/%62illing' })],
  ['a path with two slashes', () => ({ path: '/mcp//billing' })],
  ['a path with dots', () => ({ path: '/mcp/local/../billing' })],
  ['a path that ends in a slash', () => ({ path: '/mcp/billing/' })],
  ['a path in capitals', () => ({ path: '/MCP/billing' })],
  ['an absolute target', () => ({ path: `${world.url}/mcp/billing` })],
  [
    'an unknown session',
    () => ({ era: 'legacy' as const, headers: (f) => replaced(f, 'mcp-session-id', 'upstream-session-1') }),
  ],
  [
    'two sessions',
    () => ({ era: 'legacy' as const, headers: (f) => replaced(f, 'mcp-session-id', session, 'upstream-session-1') }),
  ],
  ['a method that sends no body', () => ({ method: 'GET', htm: 'GET' })],
])('%s', (_, make) => {
  it('does nothing, and reaches no server', async () => {
    const seen = await attack(make('modern'))
    expect(seen).toMatchObject({ effects: 0, calls: 0 })
    expect(seen.status >= 400 || seen.code !== undefined).toBe(true)
  })
})

it('a proof serves one call (V10)', async () => {
  let again: Attack = {}
  await expect
    .poll(() => {
      const made = proof('POST', `${world.url}/mcp/billing`)
      again = { headers: (fields) => replaced(fields, 'dpop', made) }
      return attack(again)
    })
    .toMatchObject({ effects: 1 })
  expect(await attack(again)).toMatchObject({ status: 401, code: 'proof_replayed', effects: 0, calls: 0 })
})

it('an agent that signs one action and sends another is refused', async () => {
  const client = await world.client('billing', 'modern', { grantId })
  const signed = client.message('tools/call', { name: 'read', arguments: { invoice: 'INV-1' } })
  const sent = { ...signed, params: { ...signed.params, arguments: { invoice: 'INV-2' } } }
  const answer = await client.send(signed, { body: JSON.stringify(sent) })
  expect([answer.status, answer.message?.error?.data.code]).toEqual([401, 'proof_action_mismatch'])
})

it('a session serves the agent and the grant that it was begun under', async () => {
  const other = await world.granted()
  const stolen = await world.client('billing', 'legacy', other)
  stolen.session = session
  expect((await stolen.call('read')).status).toBe(404)
  expect((await stolen.ask('tools/list')).status).toBe(404)
})
