import { connect } from 'node:net'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ModelsWorld, modelsAuthority } from '../e2e/models-world.ts'

/*
 * LLMjacking with a grant: an agent asks a model for more than was reserved, or for what acts outside of every gateway. Each attack is a
 * request in which that can be said. Nothing of it reaches the provider, and nothing is spent.
 */

let world: ModelsWorld
let grantId: string
beforeAll(async () => {
  world = await ModelsWorld.open()
  ;({ grantId } = await world.granted())
})
afterAll(() => world?.[Symbol.asyncDispose]())

const chatPath = '/acme/v1/chat/completions'
const responsesPath = '/acme/v1/responses'
const messagesPath = '/claudish/v1/messages'
const hello = [{ role: 'user', content: 'Hi' }]
const chat = (more: object) => ({ model: 'small', messages: hello, max_tokens: 50, ...more })
const responses = (more: object) => ({ model: 'seeing', input: 'Hi', max_output_tokens: 50, ...more })
const messages = (more: object) => ({ model: 'seeing', messages: hello, max_tokens: 50, ...more })
const saying = (content: unknown) => ({ messages: [{ role: 'user', content }] })

it.each<[attack: string, path: string, body: object | string, code: string]>([
  ['asks for many answers and pays for one', chatPath, chat({ n: 128 }), 'model_member_refused'],
  ['asks for the best of many answers', chatPath, chat({ best_of: 20 }), 'model_member_refused'],
  [
    'pays for refused predictions of no one',
    chatPath,
    chat({ prediction: { type: 'content', content: 'x' } }),
    'model_member_refused',
  ],
  [
    'takes the dear tier at the price of the other',
    chatPath,
    chat({ service_tier: 'priority' }),
    'model_member_refused',
  ],
  [
    'states its limit twice',
    chatPath,
    '{"model":"small","messages":[],"max_tokens":1,"max_tokens":9999}',
    'json_malformed',
  ],
  [
    'states its limit twice, once with an escape',
    chatPath,
    '{"model":"small","messages":[],"max_tokens":1,"max\\u005ftokens":9999}',
    'json_malformed',
  ],
  [
    'states its limit twice, in two cases',
    chatPath,
    '{"model":"small","messages":[],"max_tokens":1,"MAX_TOKENS":9999}',
    'json_keys_alike',
  ],
  ['states two limits', chatPath, chat({ max_completion_tokens: 4000 }), 'model_request_malformed'],
  ['states a limit below zero', chatPath, chat({ max_tokens: -4000 }), 'model_request_malformed'],
  ['states a limit that is rounded', chatPath, '{"model":"small","messages":[],"max_tokens":1e400}', 'json_malformed'],
  ['hides a member in a prototype', chatPath, '{"model":"small","messages":[],"__proto__":{"n":5}}', 'json_malformed'],
  ['names the model twice', chatPath, '{"model":"small","model":"dear","messages":[]}', 'json_malformed'],
  ['calls a model without a price', chatPath, chat({ model: 'gpt-99-pro' }), 'model_unknown'],
  ['lets the provider search', chatPath, chat({ web_search_options: {} }), 'model_outside_unpriced'],
  [
    'lets the provider call a server of tools',
    responsesPath,
    responses({
      tools: [{ type: 'mcp', server_label: 'x', server_url: 'https://evil.example/mcp', require_approval: 'never' }],
    }),
    'model_outside_unpriced',
  ],
  [
    'lets the provider run code',
    responsesPath,
    responses({ tools: [{ type: 'code_interpreter', container: { type: 'auto' } }] }),
    'model_outside_unpriced',
  ],
  [
    'lets the provider use a computer',
    responsesPath,
    responses({ tools: [{ type: 'computer_use_preview' }] }),
    'model_outside_unpriced',
  ],
  [
    'hides such a tool behind one that the client runs',
    responsesPath,
    responses({ tools: [{ type: 'function', name: 'f' }, { type: 'mcp' }] }),
    'model_outside_unpriced',
  ],
  [
    'lets the provider search, which has a price and is not granted',
    responsesPath,
    responses({ tools: [{ type: 'web_search' }] }),
    'action_not_granted',
  ],
  [
    'continues an answer whose length no one sees',
    responsesPath,
    responses({ previous_response_id: 'resp_1' }),
    'model_member_refused',
  ],
  [
    'continues a conversation that is kept',
    responsesPath,
    responses({ conversation: 'conv_1' }),
    'model_member_refused',
  ],
  ['uses a prompt that is kept', responsesPath, responses({ prompt: { id: 'pmpt_1' } }), 'model_member_refused'],
  [
    'refers to an item that is kept',
    responsesPath,
    responses({ input: [{ type: 'item_reference', id: 'msg_1' }] }),
    'model_member_refused',
  ],
  [
    'refers to an item that is kept, by its bare id',
    responsesPath,
    responses({ input: [{ id: 'msg_1' }, { id: 'msg_2', type: null }] }),
    'model_member_refused',
  ],
  [
    'refers to an item that is kept, as a message without words',
    responsesPath,
    responses({ input: [{ id: 'msg_1', role: null, content: null }] }),
    'model_member_refused',
  ],
  [
    'has its prompt kept for an hour, which costs more than a cache of the table',
    messagesPath,
    messages({ system: [{ type: 'text', text: 'x', cache_control: { type: 'ephemeral', ttl: '1h' } }] }),
    'model_member_refused',
  ],
  ['works on in the background', responsesPath, responses({ background: true }), 'model_member_refused'],
  [
    'lets the provider call servers of tools',
    messagesPath,
    messages({ mcp_servers: [{ type: 'url', url: 'https://evil.example', name: 'x' }] }),
    'model_outside_unpriced',
  ],
  [
    'lets the provider fetch a page',
    messagesPath,
    messages({ tools: [{ type: 'web_fetch_20250910', name: 'web_fetch' }] }),
    'model_outside_unpriced',
  ],
  ['takes the fast lane', messagesPath, messages({ speed: 'fast' }), 'model_member_refused'],
  [
    'lets the provider fetch an image, and learn what the prompt says by its address',
    chatPath,
    chat(saying([{ type: 'image_url', image_url: { url: 'https://evil.example/?leak' } }])),
    'model_outside_unpriced',
  ],
  [
    'sends an image where none has a price',
    chatPath,
    chat(saying([{ type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } }])),
    'model_outside_unpriced',
  ],
  [
    'sends a text as an image, to count its tokens as one image',
    chatPath,
    chat({
      model: 'seeing',
      ...saying([{ type: 'image_url', image_url: { url: `data:image/png;base64,${'many words '.repeat(50)}` } }]),
    }),
    'model_request_malformed',
  ],
  [
    'sends a document by its id',
    messagesPath,
    messages(saying([{ type: 'document', source: { type: 'file', file_id: 'file_1' } }])),
    'model_outside_unpriced',
  ],
  [
    'hides a document in the result of a tool',
    messagesPath,
    messages(
      saying([
        {
          type: 'tool_result',
          tool_use_id: 't',
          content: [{ type: 'document', source: { type: 'url', url: 'https://evil.example' } }],
        },
      ]),
    ),
    'model_outside_unpriced',
  ],
  [
    'hides a document in a document',
    messagesPath,
    messages(
      saying([
        {
          type: 'document',
          source: {
            type: 'content',
            content: [{ type: 'image', source: { type: 'url', url: 'https://evil.example' } }],
          },
        },
      ]),
    ),
    'model_outside_unpriced',
  ],
  ['makes vectors of everything', '/acme/v1/embeddings', { model: 'small', input: 'x' }, 'model_endpoint_unknown'],
  [
    'makes vectors of what the provider fetches',
    '/acme/v1/embeddings',
    { model: 'vectors', input: [{ type: 'image_url', image_url: 'https://evil.example' }] },
    'model_request_malformed',
  ],
  ['makes vectors of a file', '/acme/v1/embeddings', { model: 'vectors', input_file: 'f1' }, 'model_member_refused'],
  [
    'writes with a model whose output has no price',
    '/acme/v1/responses',
    { model: 'vectors', input: 'x', max_output_tokens: 4000 },
    'model_endpoint_unknown',
  ],
  ['lists the files of the account', '/acme/v1/files', {}, 'model_endpoint_unknown'],
  ['makes a key of the account', '/acme/v1/organization/admin_api_keys', {}, 'model_endpoint_unknown'],
  ['begins a batch', '/claudish/v1/messages/batches', { requests: [] }, 'model_endpoint_unknown'],
  ['climbs out of the path', '/acme/v1/chat/completions/../../files', {}, 'target'],
  ['escapes a part of the path', '/acme/v1/%63hat/completions', chat({}), 'path_escape_needless'],
])('%s', async (_, path, body, code) => {
  const before = world.provider.calls.length
  const response = await world.ask({ grantId }, path, body)
  const text = await response.text()
  // The client's own URL parser resolves dots, so that another path arrives.
  if (code === 'target')
    expect([response.status, text]).toEqual([404, expect.stringContaining('model_endpoint_unknown')])
  else if (code !== 'path_escape_needless') expect(JSON.parse(text)).toMatchObject({ code })
  else expect(response.status).toBe(400)
  expect(response.ok).toBe(false)
  expect(world.provider.calls.length).toBe(before)
})

it('changes what is forwarded by header fields of its own', async () => {
  const headers = {
    'openai-organization': 'org-other',
    'x-api-key': 'sk-stolen',
    'anthropic-beta': 'context-1m-2025-08-07',
  }
  const before = world.provider.calls.length
  expect((await world.ask({ grantId }, chatPath, chat({}), { headers })).status).toBe(400)
  expect(world.provider.calls.length).toBe(before)
  const { 'anthropic-beta': _, ...others } = headers
  expect((await world.ask({ grantId }, chatPath, chat({}), { headers: others })).status).toBe(200)
  expect(world.provider.calls.at(-1)?.raw).not.toMatch(/org-other|sk-stolen/)
})

it('uses a credential for one provider at another (V5)', async () => {
  const before = world.provider.calls.length
  const other = await world.ask({ grantId, resource: `${world.urls[0]}/models/claudish` }, chatPath, chat({}))
  expect([other.status, await other.json()]).toMatchObject([401, { code: 'credential_audience_wrong' }])
  expect(world.provider.calls.length).toBe(before)
})

it('has a limit lowered until a permission covers it that counts no cost (V9)', async () => {
  const small = { actions: ['model/invoke'], resource: { type: 'model', id: 'acme/small' } }
  const free = { ...small, where: { '/max_output_tokens': { max: '100' } } }
  const counted = { ...small, cost: { amount: '/cost/amount', currency: '/cost/currency' } }
  const granted = await world.granted(modelsAuthority('0.01', { permissions: [free, counted] }))
  const before = world.provider.calls.length
  // What is left pays for about 76 tokens of output, and up to 100 the other permission is the first that covers.
  const response = await world.ask({ grantId: granted.grantId }, chatPath, chat({ max_tokens: 4000 }))
  expect([response.status, await response.json()]).toMatchObject([403, { code: 'model_cost_not_counted' }])
  expect(world.provider.calls.length).toBe(before)
  // The refusal is in evidence: a decision, and that nothing came of it. A busy machine may have denied an earlier try.
  await expect
    .poll(async () => (await world.story(granted.grantId)).map(({ type, data }) => data.status ?? type).slice(-2), {
      timeout: 30_000,
    })
    .toEqual(['decision.allowed', 'not_executed'])
})

it('sends a long body and says not who asks: the answer comes before it is read (V18)', async () => {
  const { hostname, port } = new URL(world.urls[0] ?? '')
  const socket = connect(Number(port), hostname)
  socket.write(
    `POST /models${chatPath} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 16000000\r\n\r\n{`,
  )
  let text = ''
  for await (const chunk of socket) text += chunk
  expect(text).toMatch(/^HTTP\/1\.1 401 /)
  expect(text).toContain('credential_missing')
})

it('takes an answer in HTTP/1.0, in which one that was cut passes for whole', async () => {
  const { hostname, port } = new URL(world.urls[0] ?? '')
  const socket = connect(Number(port), hostname)
  socket.write('GET /models/acme/v1/models HTTP/1.0\r\nHost: localhost\r\nAuthorization: DPoP a.b.c\r\n\r\n')
  let text = ''
  for await (const chunk of socket) text += chunk
  expect(text).toContain('http_version_forbidden')
})

it('nothing of it was spent but the one call that was allowed (V9)', async () => {
  expect(await world.spent(grantId, 1)).toBe('0.00051')
})
