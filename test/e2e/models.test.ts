import { claimedTokens } from '@bailiwick/credentials'
import { chatEvents, plainReply } from '@bailiwick/gateway/model-fixture'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { ModelsWorld, modelPrices, modelsAuthority } from './models-world.ts'

let world: ModelsWorld
beforeAll(async () => {
  world = await ModelsWorld.open()
})
afterAll(() => world?.[Symbol.asyncDispose]())

beforeEach(() => {
  world.provider.answer = ({ path }, body) => plainReply(path, body)
})

const chat = '/acme/v1/chat/completions'
const hello = { model: 'small', messages: [{ role: 'user', content: 'Hi' }] }
const sent = () => JSON.parse(world.provider.calls.at(-1)?.body ?? '{}')
const code = async (response: Response) => [response.status, ((await response.json()) as { code?: string }).code]

describe('a call of a model', () => {
  it.each([
    ['chat completions', chat, { ...hello, max_tokens: 50 }],
    ['responses', '/acme/v1/responses', { model: 'small', input: 'Hi', max_output_tokens: 50 }],
    ['messages', '/claudish/v1/messages', { ...hello, max_tokens: 50 }],
  ])('%s: reserves the most that it can cost, and settles what it cost', async (_, path, body) => {
    const { grantId } = await world.granted()
    for (const stream of [false, true]) {
      const response = await world.ask({ grantId }, path, { ...body, stream })
      expect([response.status, await response.text()]).toEqual([200, expect.stringContaining('Hello')])
    }
    // Twice 10 tokens of input at 1 USD a million, and 5 of output at 100.
    expect(await world.spent(grantId, 2)).toBe('0.00102')
    const told = await world.story(grantId)
    const settled = {
      type: 'outcome.reported',
      data: { status: 'succeeded', released: { calls: 0, cost: { USD: expect.any(String) } } },
    }
    const outcomes = told.filter(({ type }) => type === 'outcome.reported')
    expect(outcomes).toMatchObject([settled, settled])
    for (const { data } of outcomes) expect(claimedTokens(data.outcome ?? '')).toEqual({ input: 10, output: 5 })
    expect(JSON.stringify(told)).not.toContain('Hello')
  })

  it('sends the bytes as they came, and its own key in place of the agent’s credential', async () => {
    const { grantId } = await world.granted()
    const body =
      '{ "model":"small", "messages":[{"role":"user","content":"\\u00e9"}],"max_completion_tokens" :50,"seed":1.50 }'
    await (await world.ask({ grantId }, chat, body)).text()
    const call = world.provider.calls.at(-1)
    expect(call?.body).toBe(body)
    expect(call?.headers.authorization).toBe(`Bearer ${world.provider.secret}`)
    expect(call?.raw).not.toMatch(/dpop|bailiwick/i)
  })

  it('gets a limit where it states none, and shows no usage that it did not ask for', async () => {
    const { grantId } = await world.granted()
    const text = await (await world.ask({ grantId }, chat, { ...hello, stream: true })).text()
    expect(sent()).toEqual({
      ...hello,
      stream: true,
      stream_options: { include_usage: true },
      max_completion_tokens: 1000,
    })
    expect(text).toBe(chatEvents(['Hello', ' world']).join(''))
    const asked = { ...hello, stream: true, stream_options: { include_usage: true } }
    expect(await (await world.ask({ grantId }, chat, asked)).text()).toContain('"prompt_tokens":10')
  })

  it('is clamped to what is left of the budget, and denied where nothing is', async () => {
    const { grantId } = await world.granted(modelsAuthority('0.01'))
    await (await world.ask({ grantId }, chat, { ...hello, max_tokens: 4000 })).text()
    // About 2,300 tokens of input can come; what is left pays for about 76 of output.
    expect(sent().max_completion_tokens).toBeGreaterThan(60)
    expect(sent().max_completion_tokens).toBeLessThan(80)
    expect(await world.spent(grantId, 1)).toBe('0.00051')
    world.provider.answer = () => ({ json: { choices: [] } })
    await (await world.ask({ grantId }, chat, { ...hello, max_tokens: 4000 })).text()
    const calls = world.provider.calls.length
    expect(await code(await world.ask({ grantId }, chat, { ...hello, max_tokens: 16 }))).toEqual([
      403,
      'budget_exhausted',
    ])
    expect(world.provider.calls.length).toBe(calls)
  })

  it('states its limit to the provider in the member of the table alone', async () => {
    const { grantId } = await world.granted()
    await (await world.ask({ grantId }, chat, { ...hello, max_tokens: 50 })).text()
    expect(sent()).toEqual({ ...hello, max_completion_tokens: 50 })
  })

  it('counts tokens and lists models for nothing', async () => {
    const { grantId } = await world.granted(modelsAuthority('0'))
    const counted = await world.ask({ grantId }, '/claudish/v1/messages/count_tokens', hello)
    expect([counted.status, await counted.json()]).toEqual([200, { input_tokens: 10 }])
    const listed = await world
      .agent()
      .fetch(`${world.urls[0]}/models/acme/v1/models`, { method: 'GET' }, { grant: { grantId } })
    expect([listed.status, await listed.json()]).toMatchObject([200, { data: [{ id: 'acme-small' }] }])
    expect(await world.spent(grantId, 2)).toBe('0')
  })

  it('makes vectors for the price of their input', async () => {
    const { grantId } = await world.granted()
    const body = '{ "model":"vectors", "input":["a","b"] }'
    const response = await world.ask({ grantId }, '/acme/v1/embeddings', body)
    expect([response.status, await response.json()]).toMatchObject([200, { data: [{ embedding: [0.5, -0.25] }] }])
    expect(world.provider.calls.at(-1)?.body).toBe(body)
    // 10 tokens of input at 100 USD a million.
    expect(await world.spent(grantId, 1)).toBe('0.001')
    world.provider.answer = () => ({ json: { data: [] } })
    expect((await world.ask({ grantId }, '/acme/v1/embeddings', body)).status).toBe(200)
    expect(Number(await world.spent(grantId, 2))).toBeGreaterThan(0.2)
  })

  it('gives everything back that a provider refused to begin', async () => {
    const { grantId } = await world.granted()
    world.provider.answer = () => ({ status: 429, json: { error: { message: 'slow down' } } })
    expect((await world.ask({ grantId }, chat, { ...hello, max_tokens: 50 })).status).toBe(429)
    expect(await world.spent(grantId, 1)).toBe('0')
  })
})

describe('what people signed', () => {
  it('are the prices: at others nothing is called', async () => {
    const small = { ...modelPrices.models.small, output: '0' }
    await using cheap = await ModelsWorld.open({ served: { models: { ...modelPrices.models, small } } })
    const { grantId } = await cheap.granted()
    expect(await code(await cheap.ask({ grantId }, chat, { ...hello, max_tokens: 50 }))).toEqual([
      403,
      'manifest_changed',
    ])
    expect(cheap.provider.calls).toEqual([])
  })

  it('are permissions that count what a call costs', async () => {
    const permissions = [{ actions: ['model/invoke'], resource: { type: 'model', id: 'acme/small' } }]
    const { grantId } = await world.granted(modelsAuthority('1', { permissions }))
    const calls = world.provider.calls.length
    expect(await code(await world.ask({ grantId }, chat, hello))).toEqual([403, 'model_cost_not_counted'])
    expect(world.provider.calls.length).toBe(calls)
  })

  it('is a number of calls too, for tools and models together (V9)', async () => {
    const { grantId } = await world.granted(modelsAuthority('1', { budget: { calls: 1, cost: { USD: '1' } } }))
    await (await world.ask({ grantId }, chat, hello)).text()
    expect(await code(await world.ask({ grantId }, chat, hello))).toEqual([403, 'budget_exhausted'])
  })
})

it('a withdrawal cuts a stream in the middle, and its reservation is spent (V7, V9)', async () => {
  const { grantId, requestId } = await world.granted()
  world.provider.answer = () => ({ events: chatEvents(['one', 'two']).slice(0, 2), last: 'silence' })
  const response = await world.ask({ grantId }, chat, { ...hello, stream: true, max_tokens: 50 })
  const reader = response.body?.getReader()
  expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toContain('one')
  await world.approver.withdraw(requestId)
  const ended = (async () => {
    while (!(await reader?.read())?.done);
  })()
  await expect(ended).rejects.toThrow()
  const spent = Number(await world.spent(grantId, 1))
  expect(spent).toBeGreaterThan(0.005)
  const [outcome] = (await world.story(grantId)).filter(({ type }) => type === 'outcome.reported')
  expect(outcome).toMatchObject({ data: { status: 'unknown', released: { cost: {} } } })
})

it('leaves evidence without words and keys, in which an auditor finds nothing (V9, V17)', async () => {
  const { grantId } = await world.granted()
  world.provider.answer = () => ({
    json: {
      choices: [{ message: { content: 'the secret answer' } }],
      usage: { prompt_tokens: 10, completion_tokens: 5 },
    },
  })
  await (
    await world.ask({ grantId }, chat, { ...hello, messages: [{ role: 'user', content: 'the secret question' }] })
  ).text()
  expect(await world.spent(grantId, 1)).toBe('0.00051')
  const all = await world.everything()
  expect(all).toContain('acme/small')
  for (const secret of ['secret answer', 'secret question', world.provider.secret]) expect(all).not.toContain(secret)
  await expect.poll(() => world.findings(), { interval: 500 }).toEqual([])
})
