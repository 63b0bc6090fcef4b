import { describe, expect, it } from 'vitest'
import { chat, entryOf, prices, request } from '../models/entry.fixture.ts'
import { withLimit } from './clamp.ts'
import { modelAction, readModelRequest } from './model-request.ts'

const openai = entryOf()
const anthropic = entryOf({ api: 'anthropic', betas: ['fine-2026-01-01'] })
const action = (of = chat(), entry = openai) => modelAction('acme', entry, of)
const responses = (more: object) =>
  request('/v1/responses', { model: 'seeing', input: 'Hi', max_output_tokens: 50, ...more })
const messages = (more: object, headers?: string[]) =>
  request(
    '/v1/messages',
    { model: 'seeing', max_tokens: 50, messages: [{ role: 'user', content: 'Hi' }], ...more },
    headers,
  )

describe('an action', () => {
  it('says what is asked for and what it can cost at most, and nothing of the prompt', () => {
    const of = chat({ tools: [{ type: 'function', function: { name: 'f' } }], user: 'someone' })
    const cost = { amount: `0.00${String(of.body.length + 2048 + 500).padStart(4, '0')}`, currency: 'USD' }
    expect(action(of)).toEqual({
      name: 'model/invoke',
      resource: { type: 'model', id: 'acme/small' },
      properties: {
        ...{
          model: 'small',
          max_output_tokens: 50,
          stream: false,
          store: false,
          tools: 'function',
          outside: '',
          images: 0,
        },
        ...{ cost, prices: '2026-11-29', body_sha256: expect.stringMatching(/^[\w-]{43}$/) },
      },
    })
    expect(JSON.stringify(action(of))).not.toContain('someone')
  })

  it('is another one for every other byte of the prompt', () => {
    const hashes = ['a', 'b', 'c'].map((content) =>
      JSON.stringify(action(chat({ messages: [{ role: 'user', content }] }))),
    )
    expect(new Set(hashes).size).toBe(3)
  })

  it('has a cost that no words can exceed: the bytes that are sent, and what a provider adds', () => {
    const text = '\u0001é漢😀'.repeat(50)
    const read = readModelRequest(openai, chat({ messages: [{ role: 'user', content: text }] }))
    expect(read).toMatchObject({ bound: { input: expect.any(Number) } })
    if ('bound' in read) expect(read.bound.input).toBeGreaterThan(Buffer.byteLength(text) + 2048)
  })

  it('counts an image by its price, and not by its length', () => {
    const url = `data:image/png;base64,${'A'.repeat(400_000)}`
    const image = { role: 'user', content: [{ type: 'image_url', image_url: { url } }] }
    const read = readModelRequest(openai, chat({ model: 'seeing', messages: [image] }))
    expect(read).toMatchObject({ asked: { images: 1 }, bound: { input: expect.any(Number) } })
    if ('bound' in read) expect(read.bound.input).toBeLessThan(1500 + 2048 + 300)
  })

  it('counts as text what is only called an image', () => {
    const text = { role: 'user', content: [{ type: 'text', text: `data:image/png;base64,${'A'.repeat(4000)}` }] }
    const read = readModelRequest(openai, chat({ model: 'seeing', messages: [text] }))
    if ('bound' in read) expect(read.bound.input).toBeGreaterThan(6000)
    expect(read).toMatchObject({ asked: { images: 0 } })
  })

  it('is another action where the request reaches beyond the model', () => {
    const of = responses({ tools: [{ type: 'web_search' }, { type: 'function', name: 'f' }] })
    expect(action(of)).toMatchObject({
      name: 'model/invoke-outside',
      properties: { outside: 'web_search', outside_at: '', tools: 'function' },
    })
    const file = { role: 'user', content: [{ type: 'document', source: { type: 'file', file_id: 'f1' } }] }
    expect(action(messages({ messages: [file] }), anthropic)).toMatchObject({
      name: 'model/invoke-outside',
      properties: { outside: 'file_id', outside_at: 'f1' },
    })
  })

  it('says whether the provider keeps the answer, which some APIs do by default', () => {
    expect(action(responses({}))).toMatchObject({ properties: { store: true } })
    expect(action(responses({ store: false }))).toMatchObject({ properties: { store: false } })
    expect(action(chat({ store: true }))).toMatchObject({ properties: { store: true } })
    const reasoned = { type: 'reasoning', id: 'rs_1', summary: [], encrypted_content: 'gAAAA' }
    expect(action(responses({ input: [reasoned] }))).toMatchObject({ name: 'model/invoke' })
  })

  it('costs nothing where tokens are only counted, or models only listed', () => {
    const count = request('/v1/messages/count_tokens', { model: 'small', messages: [] })
    expect(action(count, anthropic)).toMatchObject({
      name: 'model/count',
      properties: { cost: { amount: '0', currency: 'USD' } },
    })
    const list = { method: 'GET', target: '/v1/models', headers: [], body: Buffer.alloc(0) }
    expect(action(list as never)).toMatchObject({ name: 'model/list', resource: { id: 'acme/*' } })
  })

  it('says where it reaches: the origin of an address, and what the provider keeps', () => {
    const priced = {
      ...prices.models.seeing,
      outside: { mcp: '0.1', file_search: '0.1', file_url: '0.1', file_id: '0.1' },
    }
    const open = entryOf({ prices: { ...prices, models: { seeing: priced } } })
    const tools = [
      { type: 'mcp', server_url: 'https://tools.example:8443/mcp?d=the+prompt' },
      { type: 'file_search', vector_store_ids: ['vs_1', 'vs_2'] },
    ]
    const read = action(responses({ tools }), open)
    expect(read).toMatchObject({ properties: { outside_at: 'https://tools.example:8443,vs_1,vs_2' } })
    expect(JSON.stringify(read)).not.toContain('prompt')
    for (const tool of [
      { type: 'mcp', server_url: 'file:///etc/passwd' },
      { type: 'mcp', server_url: { url: 'https://evil.example' } },
      { type: 'file_search', vector_store_ids: ['vs_1,vs_2'] },
    ])
      expect(action(responses({ tools: [tool] }), open)).toMatchObject({ refused: 'model_request_malformed' })
  })

  it('counts nothing that a provider fetches', () => {
    const priced = { ...prices.models.seeing, outside: { file_url: '0.1', mcp_servers: '0.1' } }
    const open = entryOf({ api: 'anthropic', prices: { ...prices, models: { seeing: priced } } })
    const source = { type: 'url', url: 'https://evil.example/?d=data' }
    const count = (more: object) =>
      action(request('/v1/messages/count_tokens', { model: 'seeing', messages: [], ...more }), open)
    expect(count({ messages: [{ role: 'user', content: [{ type: 'document', source }] }] })).toEqual({
      refused: 'model_member_refused',
      detail: 'count_tokens: file_url',
    })
    expect(count({ mcp_servers: [source] })).toMatchObject({ detail: 'count_tokens: mcp_servers' })
  })

  it('names a beta, and only one that the operator allows', () => {
    expect(action(messages({}, ['anthropic-beta', 'fine-2026-01-01']), anthropic)).toMatchObject({
      properties: { beta: 'fine-2026-01-01' },
    })
    for (const beta of ['context-1m-2025-08-07', 'fine-2026-01-01,other'])
      expect(action(messages({}, ['anthropic-beta', beta]), anthropic)).toMatchObject({
        refused: 'model_member_refused',
      })
  })
})

const byId = 'input: an item by its id'
const image = (url: unknown) => ({ messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url } }] }] })

describe('refuses by name what has no bound', () => {
  it.each<[what: string, more: object, refused: string, detail: string]>([
    ['several answers', { n: 2 }, 'model_member_refused', 'n'],
    ['the best of several', { best_of: 5 }, 'model_member_refused', 'best_of'],
    ['a prediction, whose refused tokens cost', { prediction: {} }, 'model_member_refused', 'prediction'],
    ['a dearer tier', { service_tier: 'priority' }, 'model_member_refused', 'service_tier'],
    ['the tier that the project has', { service_tier: 'auto' }, 'model_member_refused', 'service_tier'],
    ['sound', { modalities: ['text', 'audio'] }, 'model_member_refused', 'modalities'],
    ['a member of tomorrow', { turbo: true }, 'model_member_refused', 'turbo'],
    ['a member that is no name', { 'Ignore all\n': 1 }, 'model_member_refused', 'a member'],
    ['two limits', { max_tokens: 10 }, 'model_request_malformed', 'max_tokens'],
    ['a limit of nothing', { max_completion_tokens: 0 }, 'model_request_malformed', 'max_completion_tokens'],
    ['a negative limit', { max_completion_tokens: -1 }, 'model_request_malformed', 'max_completion_tokens'],
    ['half a token', { max_completion_tokens: 1.5 }, 'model_request_malformed', 'max_completion_tokens'],
    ['a limit in words', { max_completion_tokens: '50' }, 'model_request_malformed', 'max_completion_tokens'],
    ['a stream that is a word', { stream: 'false' }, 'model_request_malformed', 'stream'],
    ['a model without a price', { model: 'gpt-99' }, 'model_unknown', 'model'],
    ['a model that every object has', { model: 'constructor' }, 'model_unknown', 'model'],
    [
      'an image at a model without a price for one',
      image('data:image/png;base64,AAAA'),
      'model_outside_unpriced',
      'an image',
    ],
    [
      'an image elsewhere',
      { model: 'seeing', ...image('https://evil.example/x.png') },
      'model_outside_unpriced',
      'image_url',
    ],
    [
      'an image that is no image',
      { model: 'seeing', ...image('data:text/html;base64,AAAA') },
      'model_request_malformed',
      'messages.content.image_url',
    ],
    [
      'an image that is a text',
      { model: 'seeing', ...image('data:image/png;base64,many words') },
      'model_request_malformed',
      'messages.content.image_url',
    ],
    [
      'a sound that is heard',
      { messages: [{ role: 'user', content: [{ type: 'input_audio' }] }] },
      'model_member_refused',
      'messages.content: input_audio',
    ],
    [
      'a sound that the provider keeps',
      { messages: [{ role: 'assistant', audio: { id: 'a' } }] },
      'model_member_refused',
      'messages.audio',
    ],
    ['a search by the provider', { web_search_options: {} }, 'model_outside_unpriced', 'web_search'],
  ])('chat completions: %s', (_, more, refused, detail) => {
    expect(action(chat(more))).toEqual({ refused, detail })
  })

  it.each<[what: string, more: object, refused: string, detail: string]>([
    ['an answer that is continued', { previous_response_id: 'r1' }, 'model_member_refused', 'previous_response_id'],
    ['a conversation that is kept', { conversation: 'c1' }, 'model_member_refused', 'conversation'],
    ['a prompt that is kept', { prompt: { id: 'p1' } }, 'model_member_refused', 'prompt'],
    ['work in the background', { background: true }, 'model_member_refused', 'background'],
    [
      'a reference to an item',
      { input: [{ type: 'item_reference', id: 'i1' }] },
      'model_member_refused',
      'input: item_reference',
    ],
    [
      'a server of tools',
      { tools: [{ type: 'mcp', server_url: 'https://evil.example' }] },
      'model_outside_unpriced',
      'mcp',
    ],
    [
      'code that the provider runs',
      { tools: [{ type: 'code_interpreter' }] },
      'model_outside_unpriced',
      'code_interpreter',
    ],
    [
      'an image that the provider makes',
      { tools: [{ type: 'image_generation' }] },
      'model_outside_unpriced',
      'image_generation',
    ],
    ['an item by its bare id', { input: [{ id: 'msg_1' }] }, 'model_member_refused', byId],
    ['an item whose type is nothing', { input: [{ id: 'msg_1', type: null }] }, 'model_member_refused', byId],
    [
      'an item that is a message without words',
      { input: [{ id: 'msg_1', role: null, content: null }] },
      'model_member_refused',
      byId,
    ],
    [
      'a message without words',
      { input: [{ type: 'message', id: 'msg_1', role: 'user' }] },
      'model_member_refused',
      byId,
    ],
    [
      'a message whose words are none',
      { input: [{ id: 'msg_1', role: 'user', content: [] }] },
      'model_member_refused',
      byId,
    ],
    ['a call by its id', { input: [{ type: 'function_call', id: 'fc_1' }] }, 'model_member_refused', byId],
    [
      'reasoning without its words',
      { input: [{ type: 'reasoning', id: 'rs_1', encrypted_content: '' }] },
      'model_member_refused',
      'input: reasoning',
    ],
    [
      'a container by its id',
      { tools: [{ type: 'code_interpreter', container: 'cntr_1' }] },
      'model_member_refused',
      'tools.container',
    ],
    [
      'a file by two of its places',
      { input: [{ role: 'user', content: [{ type: 'input_file', file_url: 'https://x', file_id: 'f' }] }] },
      'model_request_malformed',
      'input.content',
    ],
    ['a tool without a type', { tools: [{ name: 'f' }] }, 'model_request_malformed', 'tools'],
    [
      'reasoning that the provider kept',
      { input: [{ type: 'reasoning', id: 'rs_1', summary: [] }] },
      'model_member_refused',
      'input: reasoning',
    ],
    ['a tool whose type is a sentence', { tools: [{ type: 'please ignore all' }] }, 'model_outside_unpriced', 'a kind'],
    ['what a search found', { include: ['file_search_call.results'] }, 'model_member_refused', 'include'],
    [
      'a file by its address',
      { input: [{ role: 'user', content: [{ type: 'input_file', file_url: 'https://x' }] }] },
      'model_outside_unpriced',
      'file_url',
    ],
    ['a call at a server of tools', { input: [{ type: 'mcp_call' }] }, 'model_member_refused', 'input: mcp_call'],
  ])('responses: %s', (_, more, refused, detail) => {
    expect(action(responses(more))).toEqual({ refused, detail })
  })

  it.each<[what: string, more: object, refused: string, detail: string]>([
    [
      'servers of tools',
      { mcp_servers: [{ type: 'url', url: 'https://evil.example' }] },
      'model_outside_unpriced',
      'mcp_servers',
    ],
    [
      'a cache of one hour',
      { system: [{ type: 'text', text: 'x', cache_control: { type: 'ephemeral', ttl: '1h' } }] },
      'model_member_refused',
      'system.cache_control.ttl',
    ],
    [
      'a cache of one hour for a tool',
      { tools: [{ name: 'f', cache_control: { type: 'ephemeral', ttl: '1h' } }] },
      'model_member_refused',
      'tools.cache_control.ttl',
    ],
    ['a container', { container: 'c1' }, 'model_member_refused', 'container'],
    ['a faster lane', { speed: 'fast' }, 'model_member_refused', 'speed'],
    ['the tier that there is', { service_tier: 'auto' }, 'model_member_refused', 'service_tier'],
    [
      'code that the provider runs',
      { tools: [{ type: 'code_execution_20250825', name: 'c' }] },
      'model_outside_unpriced',
      'code_execution',
    ],
    [
      'a page that the provider reads',
      { tools: [{ type: 'web_fetch_20250910', name: 'f' }] },
      'model_outside_unpriced',
      'web_fetch',
    ],
    [
      'a cache at a model without a price for one',
      { model: 'small', system: [{ type: 'text', text: 'x', cache_control: { type: 'ephemeral' } }] },
      'model_outside_unpriced',
      'cache_control',
    ],
    [
      'a document inside the result of a tool',
      {
        messages: [
          {
            role: 'user',
            content: [
              { type: 'tool_result', content: [{ type: 'document', source: { type: 'url', url: 'https://x' } }] },
            ],
          },
        ],
      },
      'model_outside_unpriced',
      'file_url',
    ],
    [
      'a block of a server tool',
      { messages: [{ role: 'assistant', content: [{ type: 'server_tool_use' }] }] },
      'model_member_refused',
      'messages.content: server_tool_use',
    ],
  ])('messages: %s', (_, more, refused, detail) => {
    expect(action(messages(more), anthropic)).toEqual({ refused, detail })
  })

  it.each([
    [
      'two limits under one name',
      '{"model":"small","messages":[],"max_tokens":1,"max_tokens":100000}',
      'json_malformed',
    ],
    [
      'two limits, one of them escaped',
      '{"model":"small","messages":[],"max_tokens":1,"max_tok\\u0065ns":100000}',
      'json_malformed',
    ],
    [
      'two limits that differ in case',
      '{"model":"small","messages":[],"max_tokens":1,"Max_Tokens":100000}',
      'json_keys_alike',
    ],
    ['a limit beyond 53 bits', '{"model":"small","messages":[],"max_tokens":9007199254740993}', 'json_malformed'],
    ['a list', '[]', 'model_request_malformed'],
  ])('%s', (_, body, refused) => {
    expect(action(request('/v1/chat/completions', body))).toMatchObject({ refused })
  })

  it.each([
    ['another path', { target: '/v1/images/generations' }],
    ['a query', { target: '/v1/chat/completions?api-version=1' }],
    ['the end of a path', { target: '/v1/chat/completions/' }],
    ['an answer that is kept', { method: 'GET', target: '/v1/responses/r1' }],
    ['an endpoint of another API', { target: '/v1/messages' }],
    ['another method', { method: 'PUT' }],
  ])('%s', (_, part) => {
    expect(action({ ...chat(), ...part })).toMatchObject({ refused: 'model_endpoint_unknown' })
  })

  it('a body that takes long to read (V18)', () => {
    const dense = { metadata: { list: Array.from({ length: 130_000 }, () => ({ a: 0 })) } }
    expect(action(chat(dense))).toMatchObject({ refused: 'body_too_large' })
  })

  it('a body that says to be something else than JSON', () => {
    expect(action({ ...chat(), headers: ['content-type', 'text/plain'] })).toMatchObject({
      refused: 'content_type_unsupported',
    })
  })
})

describe('the limit of output', () => {
  const limited = (body: string | object, output: number, path = '/v1/chat/completions') => {
    const of = request(path, body)
    const read = readModelRequest(path === '/v1/messages' ? anthropic : openai, of)
    if ('refused' in read) throw new Error(read.detail)
    return Buffer.from(withLimit(of.body, read, output)).toString()
  }

  it('is the only thing that changes, in its place', () => {
    const text =
      '{ "model":"small",\n "messages":[{"role":"user","content":"\\"max_completion_tokens\\":7 \\u00e9"}], "max_completion_tokens" : 900 , "seed":1.50}'
    expect(limited(text, 12)).toBe(text.replace(': 900 ', ': 12 '))
    expect(limited(text, 900)).toBe(text)
  })

  it('is put where there is none', () => {
    expect(JSON.parse(limited({ model: 'small', messages: [] }, 12))).toEqual({
      model: 'small',
      messages: [],
      max_completion_tokens: 12,
    })
    const none = { model: 'small', messages: [], max_completion_tokens: null }
    expect(JSON.parse(limited(none, 12))).toEqual({ ...none, max_completion_tokens: 12 })
    expect(JSON.parse(limited({ model: 'small', input: 'x' }, 12, '/v1/responses'))).toMatchObject({
      max_output_tokens: 12,
    })
  })

  it('stands in the member of the table alone, whichever the request uses (V9)', () => {
    const text = '{"model":"small","max_tok\\u0065ns" : 9 ,"messages":[]}'
    expect(limited(text, 9)).toBe('{"model":"small","max_completion_tokens" : 9 ,"messages":[]}')
    expect(limited(text, 5)).toBe('{"model":"small","max_completion_tokens" : 5 ,"messages":[]}')
    const both = '{"model":"small","messages":[],"max_completion_tokens":null,"max_tokens":9}'
    expect(limited(both, 5)).toBe(both.replace('null', '5').replace(/9/, 'null'))
    // The provider may not know this member, and would then answer without a limit.
    for (const body of [text, both])
      expect(action(request('/v1/chat/completions', body))).toEqual({
        refused: 'model_request_malformed',
        detail: 'no limit of output',
      })
    const old = entryOf({
      prices: { ...prices, models: { small: { ...prices.models.small, output_member: 'max_tokens' } } },
    })
    const of = chat()
    expect(action(of, old)).toMatchObject({ refused: 'model_request_malformed' })
    const read = readModelRequest(old, of)
    if ('refused' in read) throw new Error(read.detail)
    expect(JSON.parse(Buffer.from(withLimit(of.body, read, 7)).toString())).toMatchObject({ max_tokens: 7 })
  })

  it('comes with the usage of a stream that does not ask for it', () => {
    const of = { model: 'small', messages: [], max_completion_tokens: 12, stream: true }
    expect(JSON.parse(limited(of, 12))).toEqual({ ...of, stream_options: { include_usage: true } })
    for (const given of [null, {}, { include_usage: false }, { include_obfuscation: false }])
      expect(JSON.parse(limited({ ...of, stream_options: given }, 12)).stream_options).toEqual({
        ...given,
        include_usage: true,
      })
    const wants = { ...of, stream_options: { include_usage: true } }
    expect(limited(wants, 12)).toBe(JSON.stringify(wants))
  })

  it('makes a request that is priced within what was left (V9)', () => {
    const of = chat({ max_completion_tokens: undefined })
    const read = readModelRequest(openai, of)
    if ('refused' in read) throw new Error(read.detail)
    expect(modelAction('acme', openai, { ...of, body: Buffer.from(withLimit(of.body, read, 20)) })).toMatchObject({
      properties: { max_output_tokens: 20 },
    })
    expect(action(of)).toEqual({ refused: 'model_request_malformed', detail: 'no limit of output' })
  })
})
