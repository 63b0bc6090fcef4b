import { pathToFileURL } from 'node:url'
import { plainReply } from '@bailiwick/gateway/model-fixture'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ModelsWorld, modelsAuthority } from '../e2e/models-world.ts'
import { installed, lacksJudges } from './programs.ts'

/** What the clients of others give back. */
type Anything = ReturnType<typeof JSON.parse>

describe.skipIf(lacksJudges)('the clients of providers, with the SDK of an agent for their requests', () => {
  let world: ModelsWorld
  let openai: (grantId: string) => Anything
  let anthropic: (grantId: string) => Anything
  beforeAll(async () => {
    world = await ModelsWorld.open()
    const load = async (name: string, file: string) => (await import(pathToFileURL(installed(name, file)).href)).default
    const [OpenAI, Anthropic] = [await load('openai', 'index.mjs'), await load('@anthropic-ai/sdk', 'index.mjs')]
    const fetchAs = (grantId: string) => (url: string, init: Anything) =>
      world.agent().fetch(url, init, { grant: { grantId }, patienceMs: 0 })
    const at = `${world.urls[0]}/models`
    openai = (grantId) => new OpenAI({ baseURL: `${at}/acme/v1`, apiKey: 'none', fetch: fetchAs(grantId) })
    anthropic = (grantId) => new Anthropic({ baseURL: `${at}/claudish`, apiKey: 'none', fetch: fetchAs(grantId) })
  })
  afterAll(() => world?.[Symbol.asyncDispose]())

  const model = 'small'
  const messages = [{ role: 'user', content: 'Hi' }]

  it('openai: chat completions and responses, whole and as a stream, counted and listed', async () => {
    const { grantId } = await world.granted()
    const client = openai(grantId)
    const whole = await client.chat.completions.create({ model, messages, max_completion_tokens: 50 })
    expect([whole.choices[0].message.content, whole.usage.completion_tokens]).toEqual(['Hello world', 5])
    let text = ''
    for await (const chunk of await client.chat.completions.create({ model, messages, stream: true }))
      text += chunk.choices[0].delta.content ?? ''
    expect(text).toBe('Hello world')
    const answered = await client.responses.create({ model, input: 'Hi', max_output_tokens: 50 })
    expect(answered.output[0].content[0].text).toBe('Hello world')
    const types: string[] = []
    for await (const { type } of await client.responses.create({ model, input: 'Hi', stream: true })) types.push(type)
    expect(types.at(-1)).toBe('response.completed')
    expect((await client.models.list()).data).toEqual([{ id: 'acme-small' }])
    expect(await world.spent(grantId, 5)).toBe('0.00204')
  })

  it('anthropic: messages, whole and as a stream, and counted tokens', async () => {
    const { grantId } = await world.granted()
    const client = anthropic(grantId)
    const whole = await client.messages.create({ model, messages, max_tokens: 50 })
    expect([whole.content[0].text, whole.usage.output_tokens]).toEqual(['Hello world', 5])
    const final = await client.messages.stream({ model, messages, max_tokens: 50 }).finalMessage()
    expect([final.content[0].text, final.usage.output_tokens]).toEqual(['Hello world', 5])
    expect(await client.messages.countTokens({ model, messages })).toEqual({ input_tokens: 10 })
    expect(await world.spent(grantId, 3)).toBe('0.00102')
  })

  it('read a denial as their own error, and wait by themselves for money that others hold', async () => {
    const { grantId } = await world.granted(modelsAuthority('0.0125'))
    await expect(openai(grantId).chat.completions.create({ model, messages, n: 2 })).rejects.toMatchObject({
      ...{ status: 400, code: 'model_member_refused', message: expect.stringContaining('n') },
    })
    let end = () => {}
    const after = new Promise<void>((resolve) => {
      end = resolve
    })
    const before = world.provider.calls.length
    world.provider.answer = async ({ path }, body) => ({ ...plainReply(path, body), after })
    const asked = { model, messages, max_completion_tokens: 100 }
    const first = openai(grantId).chat.completions.create(asked)
    await expect.poll(() => world.provider.calls.length).toBe(before + 1)
    const second = openai(grantId).chat.completions.create(asked)
    setTimeout(end, 300)
    for (const answer of [await first, await second]) expect(answer.choices[0].message.content).toBe('Hello world')
    const { grantId: poor } = await world.granted(modelsAuthority('0.0001'))
    await expect(anthropic(poor).messages.create({ model, messages, max_tokens: 50 })).rejects.toMatchObject({
      status: 403,
    })
  })
})
