import { once } from 'node:events'
import { connect } from 'node:http2'
import {
  chatEvents,
  type ModelReply,
  messageEvents,
  plainReply,
  responseEvents,
} from '@bailiwick/gateway/model-fixture'
import { withResolvers } from '@bailiwick/kit'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { ModelsWorld, modelsAuthority } from '../e2e/models-world.ts'
import { RawAgent } from './raw-request.ts'
import { eventually } from './scene.ts'

/*
 * A provider, or who stands in its place, that says less than it computed; and a client that leaves before the bill. What no one can count is
 * not given back: the whole reservation is spent.
 */

let world: ModelsWorld
beforeAll(async () => {
  world = await ModelsWorld.open({
    entryOf: { claudish: { read_on_seconds: 1 } },
    env: { BAILIWICK_HTTP2: '1' },
  })
})
afterAll(() => world?.[Symbol.asyncDispose]())
beforeEach(() => {
  world.provider.answer = ({ path }, body) => plainReply(path, body)
})

const chat = '/acme/v1/chat/completions'
const body = { model: 'small', messages: [{ role: 'user', content: 'Hi' }], max_tokens: 100 }
/** 100 tokens of output cost 0.01 USD; the bound of the input adds a little. */
const reservation = expect.closeTo(0.0122, 3)

const usage = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 }
const answer = (of: unknown): ModelReply => ({ json: { choices: [{ message: { content: 'Hello' } }], usage: of } })
const stream = (of?: unknown): ModelReply => ({ events: chatEvents(['Hello', ' world'], of) })
const claude = (input: object, output: object): ModelReply => ({
  events: messageEvents(['Hello'], { input, output } as never),
})

it.each<[lie: string, path: string, isStream: boolean, reply: ModelReply]>([
  ['an answer without usage', chat, false, answer(undefined)],
  ['an answer whose usage is nothing', chat, false, answer(null)],
  ['more output than was allowed', chat, false, answer({ ...usage, completion_tokens: 101 })],
  ['more input than can be', chat, false, answer({ ...usage, prompt_tokens: 1_000_000 })],
  ['negative output', chat, false, answer({ ...usage, completion_tokens: -100 })],
  ['half a token', chat, false, answer({ ...usage, completion_tokens: 0.5 })],
  ['no output at all', chat, false, answer({ ...usage, completion_tokens: 0 })],
  ['a prompt of nothing', chat, false, answer({ ...usage, prompt_tokens: 0 })],
  ['words for numbers', chat, false, answer({ prompt_tokens: '10', completion_tokens: '5' })],
  [
    'more read from the cache than there was',
    chat,
    false,
    answer({ ...usage, prompt_tokens_details: { cached_tokens: 11 } }),
  ],
  ['an answer that breaks off before its usage', chat, false, { ...answer(usage), last: 'break' }],
  ['no JSON', chat, false, { json: 'usage' }],
  ['an error after the work', chat, false, { status: 500, json: { error: {}, usage } }],
  ['a filter that read the prompt first', chat, false, { status: 400, json: { error: { code: 'content_filter' } } }],
  ['a stream without usage', chat, true, stream()],
  [
    'a stream that breaks off before its usage',
    chat,
    true,
    { events: chatEvents(['Hello'], usage).slice(0, 2), last: 'break' },
  ],
  [
    'a stream cut in the middle of an event',
    chat,
    true,
    { events: [chatEvents(['Hello'], usage).join('').slice(0, -30)], last: 'break' },
  ],
  ['a stream that ends before it is over', chat, true, { events: chatEvents(['Hello'], usage).slice(0, -1) }],
  [
    'a usage before the words',
    chat,
    true,
    { events: [...chatEvents([], usage).slice(0, -1), ...chatEvents(['Hello', ' world'])] },
  ],
  ['a usage inside the words', chat, true, { events: chatEvents([JSON.stringify({ usage })]) }],
  ['a response without usage', '/acme/v1/responses', true, { events: responseEvents(['Hello']) }],
  [
    'a message that counts more and then less',
    '/claudish/v1/messages',
    true,
    claude({ input_tokens: 10, output_tokens: 90 }, { output_tokens: 5 }),
  ],
  [
    'a message that is never over',
    '/claudish/v1/messages',
    true,
    {
      events: messageEvents(['Hello'], {
        input: { input_tokens: 10, output_tokens: 1 },
        output: { output_tokens: 5 },
      }).slice(0, -1),
    },
  ],
])('%s is the whole reservation (V9)', async (_, path, isStream, reply) => {
  const { grantId } = await world.granted(modelsAuthority('0.02'))
  world.provider.answer = () => reply
  const asked = path.endsWith('responses') ? { model: 'small', input: 'Hi', max_output_tokens: 100 } : body
  await world
    .ask({ grantId }, path, { ...asked, stream: isStream })
    .then((response) => response.text())
    .catch(() => undefined)
  expect(Number(await world.spent(grantId, 1))).toEqual(reservation)
})

it.each<[lie: string, usage: unknown, spent: number]>([
  ['no usage', undefined, 0.21],
  ['a total that is less than the input', { prompt_tokens: 10, total_tokens: 9 }, 0.21],
  ['an input of nothing', { prompt_tokens: 0, total_tokens: 0 }, 0.21],
  ['output, which vectors do not have', { prompt_tokens: -10, completion_tokens: 5 }, 0.21],
])('vectors with %s are the whole reservation (V9)', async (_, of, spent) => {
  const { grantId } = await world.granted(modelsAuthority('0.3'))
  world.provider.answer = () => ({ json: { data: [{ index: 0, embedding: [1] }], usage: of } })
  const response = await world.ask({ grantId }, '/acme/v1/embeddings', { model: 'vectors', input: 'Hi' })
  await response.text()
  expect(Number(await world.spent(grantId, 1))).toBeCloseTo(spent, 2)
})

it('vectors that the rest of the budget does not pay for are not made (V9)', async () => {
  const { grantId } = await world.granted(modelsAuthority('0.2'))
  const calls = world.provider.calls.length
  const response = await world.ask({ grantId }, '/acme/v1/embeddings', { model: 'vectors', input: 'Hi' })
  expect([response.status, await response.json()]).toMatchObject([403, { code: 'budget_exhausted' }])
  expect(world.provider.calls.length).toBe(calls)
})

it('a stream that counts more than was allowed is cut while it flows (V9)', async () => {
  const { grantId } = await world.granted(modelsAuthority('0.02'))
  const counting = { choices: [{ delta: { content: 'x' } }], usage: { ...usage, completion_tokens: 101 } }
  world.provider.answer = () => ({
    events: [...chatEvents(['a']).slice(0, 1), `data: ${JSON.stringify(counting)}\n\n`],
    last: 'silence',
  })
  const response = await world.ask({ grantId }, chat, { ...body, stream: true })
  await expect(response.text()).rejects.toThrow()
  expect(Number(await world.spent(grantId, 1))).toEqual(reservation)
})

/** The gateway reads on at `acme` for a minute, and at `claudish` for a second. */
describe('a client that hangs up', () => {
  const messages = '/claudish/v1/messages'

  it.each([[true], [false]])('pays what the whole answer cost (in the middle of it: %s, V9)', async (isBegun) => {
    const { grantId } = await world.granted(modelsAuthority('0.02'))
    const calls = world.provider.calls.length
    const more = withResolvers<void>()
    const events = async function* () {
      const [first = '', ...others] = chatEvents(['a', 'b'], usage)
      yield first
      await more.promise
      yield* others
    }
    world.provider.answer = () => (isBegun ? { events: events() } : { ...answer(usage), after: more.promise })
    const gone = new AbortController()
    const asking = world.ask({ grantId }, chat, { ...body, stream: isBegun }, { signal: gone.signal })
    if (isBegun) await (await asking).body?.getReader().read()
    else await expect.poll(() => world.provider.calls.length).toBe(calls + 1)
    gone.abort()
    await asking.catch(() => undefined)
    // Once it has answered this, the gateway has seen the client go.
    await fetch(`${world.urls[0]}/healthz`)
    more.resolve()
    expect(await world.spent(grantId, 1)).toBe('0.00051')
  })

  it('pays for all of it if the rest does not come in time (V9)', async () => {
    const { grantId } = await world.granted(modelsAuthority('0.02'))
    world.provider.answer = () => ({ events: messageEvents(['a']).slice(0, 2), last: 'silence' })
    const gone = new AbortController()
    const response = await world.ask({ grantId }, messages, { ...body, stream: true }, { signal: gone.signal })
    await response.body?.getReader().read()
    gone.abort()
    expect(Number(await world.spent(grantId, 1))).toEqual(reservation)
  })

  it('pays for all of it if the answer does not begin in time (V9)', async () => {
    const { grantId } = await world.granted(modelsAuthority('0.02'))
    const calls = world.provider.calls.length
    world.provider.answer = () => ({ last: 'silence' })
    const gone = new AbortController()
    const asking = world.ask({ grantId }, messages, body, { signal: gone.signal }).catch(() => undefined)
    await expect.poll(() => world.provider.calls.length).toBe(calls + 1)
    gone.abort()
    await asking
    expect(Number(await world.spent(grantId, 1))).toEqual(reservation)
  })

  it('leaves an answer that is cut all the same when the person withdraws (V7)', async () => {
    const { grantId, requestId } = await world.granted(modelsAuthority('0.02'))
    world.provider.answer = () => ({ events: chatEvents(['a', 'b'], usage).slice(0, 1), last: 'silence' })
    const gone = new AbortController()
    const response = await world.ask({ grantId }, chat, { ...body, stream: true }, { signal: gone.signal })
    await response.body?.getReader().read()
    gone.abort()
    await world.approver.withdraw(requestId)
    expect(Number(await world.spent(grantId, 1))).toEqual(reservation)
  })
})

it('a client that leaves when it has read the last event has paid what it cost (V9)', async () => {
  const { grantId } = await world.granted(modelsAuthority('0.02'))
  const gone = new AbortController()
  const asked = { ...body, stream: true, stream_options: { include_usage: true } }
  const response = await world.ask({ grantId }, chat, asked, { signal: gone.signal })
  const reader = response.body?.getReader()
  for (let text = ''; !text.includes('[DONE]'); ) text += Buffer.from((await reader?.read())?.value ?? []).toString()
  gone.abort()
  expect(await world.spent(grantId, 1)).toBe('0.00051')
})

it('two calls of the last money: one is sent, the other waits or is denied, and never both (V9)', async () => {
  const { grantId } = await world.granted(modelsAuthority('0.0125'))
  const calls = world.provider.calls.length
  let end = () => {}
  const after = new Promise<void>((resolve) => {
    end = resolve
  })
  world.provider.answer = () => ({ ...answer(usage), after })
  const first = world.ask({ grantId }, chat, body)
  await expect.poll(() => world.provider.calls.length).toBe(calls + 1)
  const second = await world.ask({ grantId }, chat, body)
  expect([second.status, second.headers.get('retry-after'), await second.json()]).toMatchObject([
    429,
    '1',
    { code: 'budget_reserved' },
  ])
  end()
  await (await first).text()
  expect(await world.spent(grantId, 1)).toBe('0.00051')
  expect((await world.ask({ grantId }, chat, body)).status).toBe(200)
})

it('a secret of the provider that comes back in an answer is cut off (V17)', async () => {
  const { grantId } = await world.granted(modelsAuthority('0.02'))
  world.provider.answer = () => ({
    json: { choices: [{ message: { content: `the key is ${world.provider.secret}` } }], usage },
  })
  const text = await world
    .ask({ grantId }, chat, body)
    .then((response) => response.text())
    .catch(() => 'cut')
  expect(text).not.toContain(world.provider.secret)
  expect(Number(await world.spent(grantId, 1))).toEqual(reservation)
})

it('what only the provider may know stays here: parts of its key, its account, and how much others use it (V17)', async () => {
  const { grantId } = await world.granted(modelsAuthority('0.02'))
  const headers = {
    'openai-organization': 'org-of-the-operator',
    'x-ratelimit-remaining-tokens': '4711',
    'cache-control': 'public, max-age=600',
    'request-id': 'req_1',
  }
  world.provider.answer = () => ({ ...answer(usage), headers })
  const response = await world.ask({ grantId }, chat, body)
  const fields = Object.fromEntries(response.headers)
  await response.text()
  expect(fields).toMatchObject({ 'cache-control': 'no-store', 'request-id': 'req_1' })
  expect(JSON.stringify(fields)).not.toMatch(/org-of-the-operator|4711/)
  for (const status of [401, 403]) {
    world.provider.answer = () => ({
      status,
      json: { error: { message: 'Incorrect API key provided: sk-XG6GW****wlmi' } },
    })
    const refused = await world.ask({ grantId }, chat, body)
    const text = await refused.text()
    expect([refused.status, JSON.parse(text)]).toMatchObject([502, { code: 'upstream_failed' }])
    expect(text).not.toContain('sk-')
  }
  expect(await world.spent(grantId, 3)).toBe('0.00051')
})

it('an answer beyond its reservation is found, and its grant gets no further call of this model (V9)', async () => {
  const { grantId } = await world.granted(modelsAuthority('0.02'))
  world.provider.answer = () => ({
    json: { choices: [], usage: { prompt_tokens: 100_000, completion_tokens: 5, total_tokens: 100_005 } },
  })
  await (await world.ask({ grantId }, chat, body)).text()
  expect(Number(await world.spent(grantId, 1))).toEqual(reservation)
  const calls = world.provider.calls.length
  const next = await world.ask({ grantId }, chat, { ...body, max_tokens: 16 })
  expect([next.status, await next.json()]).toMatchObject([403, { code: 'model_cost_not_counted' }])
  expect(world.provider.calls.length).toBe(calls)
  // It is the one finding in all of the log: no other attack spent more than there was.
  await expect
    .poll(() => world.findings(), { interval: 500 })
    .toEqual([
      expect.objectContaining({ rule: 'V9', detail: expect.stringMatching(`^${grantId}: cost:USD: 100500 of `) }),
    ])
})

it('a stream over HTTP/2 is cut when the person withdraws, and so is the provider’s (V7)', async () => {
  const { grantId, requestId } = await world.granted(modelsAuthority('0.02'))
  world.provider.answer = () => ({ events: chatEvents(['a', 'b'], usage).slice(0, 1), last: 'silence' })
  const session = connect(world.urls[0] ?? '')
  const agent = await RawAgent.open(world, grantId)
  try {
    const stream = await eventually('it flows', async () => {
      const path = '/models/acme/v1/chat/completions'
      const own = agent.fields('POST', `${world.urls[0]}${path}`).map((line) => line.split(/: (.*)/s).slice(0, 2))
      const typed = { 'content-type': 'application/json' }
      const made = session.request({ ':method': 'POST', ':path': path, ...typed, ...Object.fromEntries(own) })
      made.on('error', () => undefined).end(JSON.stringify({ ...body, stream: true }))
      const [headers] = await once(made, 'response')
      if (headers['dpop-nonce'] !== undefined) agent.nonce = headers['dpop-nonce']
      return headers[':status'] === 200 ? made : void made.resume()
    })
    await once(stream, 'data')
    expect(stream.closed).toBe(false)
    await world.approver.withdraw(requestId)
    await expect.poll(() => stream.closed, { timeout: 20_000 }).toBe(true)
    expect(stream.rstCode).toBe(2)
    expect(Number(await world.spent(grantId, 1))).toEqual(reservation)
  } finally {
    session.destroy()
  }
})
