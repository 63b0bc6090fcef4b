import { describe, expect, it } from 'vitest'
import { chatEvents, data, messageEvents, responseEvents } from '../fixture/model-provider.fixture.ts'
import { Meter, type MeterOptions } from './meter.ts'

const openai: MeterOptions = { api: 'openai', hidesUsage: false, most: { input: 1000, output: 50 }, mostBytes: 1e6 }
const anthropic: MeterOptions = { ...openai, api: 'anthropic' }

async function read(
  options: MeterOptions,
  chunks: readonly (string | Uint8Array)[],
  how: 'events' | 'whole' = 'events',
) {
  const meter = new Meter(options)
  async function* body() {
    for (const chunk of chunks) yield typeof chunk === 'string' ? Buffer.from(chunk) : chunk
  }
  const shown: Uint8Array[] = []
  for await (const chunk of meter[how](body())) shown.push(chunk)
  return { tokens: meter.tokens, text: Buffer.concat(shown).toString() }
}
const whole = (usage: unknown, options = openai) => read(options, [JSON.stringify({ choices: [], usage })], 'whole')

const chatUsage = { prompt_tokens: 100, completion_tokens: 5 }
const five = { input: 100, cacheRead: 0, cacheWrite: 0, output: 5 }

describe('reads what an answer cost, and passes it on as it is', () => {
  it.each([
    ['chat completions', openai, chatEvents(['a', 'b'], chatUsage)],
    ['responses', openai, responseEvents(['a', 'b'], { input_tokens: 100, output_tokens: 5 })],
    [
      'messages',
      anthropic,
      messageEvents(['a', 'b'], { input: { input_tokens: 100, output_tokens: 1 }, output: { output_tokens: 5 } }),
    ],
  ])('%s, cut anywhere', async (_, options, events) => {
    const text = events.join('')
    expect(await read(options, events)).toEqual({ tokens: five, text })
    const bytes = Buffer.from(text)
    for (let at = 1; at < bytes.length; at += 7)
      expect(await read(options, [bytes.subarray(0, at), bytes.subarray(at)])).toEqual({ tokens: five, text })
  })

  it('counts what was read from a cache, or written to it', async () => {
    const usage = { ...chatUsage, prompt_tokens_details: { cached_tokens: 40 } }
    expect((await whole(usage)).tokens).toEqual({ ...five, cacheRead: 40 })
    const theirs = { input_tokens: 30, cache_read_input_tokens: 50, cache_creation_input_tokens: 20, output_tokens: 5 }
    expect((await whole(theirs, anthropic)).tokens).toEqual({ ...five, cacheRead: 50, cacheWrite: 20 })
  })

  it('counts reasoning that only the total has', async () => {
    const left = { ...chatUsage, total_tokens: 135, completion_tokens_details: { reasoning_tokens: 30 } }
    expect((await whole(left)).tokens).toEqual({ ...five, output: 35 })
    const both = { input_tokens: 100, output_tokens: 5, total_tokens: 135 }
    expect((await whole(both)).tokens).toEqual({ ...five, output: 35 })
  })

  it('counts more than was reserved as it is, and says so (V9)', async () => {
    const beyond: string[] = []
    const options = { ...openai, onBeyond: () => beyond.push('beyond') }
    expect((await whole({ prompt_tokens: 1001, completion_tokens: 5 }, options)).tokens).toEqual({
      ...five,
      input: 1001,
    })
    expect((await whole({ prompt_tokens: 100, completion_tokens: 51 }, options)).tokens).toEqual({
      ...five,
      output: 51,
    })
    expect(beyond).toHaveLength(2)
  })

  it('believes no cache of one hour, which has no price', async () => {
    const usage = { input_tokens: 30, cache_creation_input_tokens: 20, output_tokens: 5 }
    const written = (tokens: number) => ({ ...usage, cache_creation: { ephemeral_1h_input_tokens: tokens } })
    expect((await whole(written(0), anthropic)).tokens).toEqual({ ...five, input: 50, cacheWrite: 20 })
    expect((await whole(written(20), anthropic)).tokens).toBeUndefined()
  })

  it('keeps back the event with the usage that the client did not ask for, and nothing else', async () => {
    const events = chatEvents(['a', 'b'], chatUsage)
    const { tokens, text } = await read({ ...openai, hidesUsage: true }, events)
    expect([tokens, text]).toEqual([five, chatEvents(['a', 'b']).join('')])
  })
})

describe('of vectors', () => {
  const vectors: MeterOptions = { ...openai, api: 'embeddings', most: { input: 1000, output: 0 } }

  it('counts the input, which is all that costs', async () => {
    for (const usage of [{ prompt_tokens: 8, total_tokens: 8 }, { prompt_tokens: 8 }])
      expect((await whole(usage, vectors)).tokens).toEqual({ input: 8, cacheRead: 0, cacheWrite: 0, output: 0 })
  })

  it.each<[string, unknown]>([
    ['no usage', undefined],
    ['a total that is less', { prompt_tokens: 8, total_tokens: 7 }],
    ['a total that is more', { prompt_tokens: 8, total_tokens: 9 }],
    ['no input', { total_tokens: 8 }],
    ['an input of nothing', { prompt_tokens: 0, total_tokens: 0 }],
    ['words', { prompt_tokens: '8', total_tokens: '8' }],
  ])('believes not: %s (V9)', async (_, usage) => {
    expect((await whole(usage, vectors)).tokens).toBeUndefined()
  })
})

it('keeps back no event without words that holds something else than usage', async () => {
  const filtered = data({ choices: [], prompt_filter_results: [{}] })
  const { text } = await read({ ...openai, hidesUsage: true }, [filtered, ...chatEvents(['a'], chatUsage)])
  expect(text).toBe([filtered, ...chatEvents(['a'])].join(''))
})

describe('believes no usage (V9)', () => {
  it.each<[string, unknown]>([
    ['that is missing', undefined],
    ['that is nothing', null],
    ['that is a number', 5],
    ['without output', { prompt_tokens: 100 }],
    ['without input', { completion_tokens: 5 }],
    ['that is negative', { prompt_tokens: 100, completion_tokens: -5 }],
    ['in fractions', { prompt_tokens: 100, completion_tokens: 0.5 }],
    ['in words', { prompt_tokens: 100, completion_tokens: '5' }],
    ['beyond all numbers', { prompt_tokens: 100, completion_tokens: 1e300 }],
    ['of more than any provider reads', { prompt_tokens: 100_000_001, completion_tokens: 5 }],
    ['whose total is less than its parts', { ...chatUsage, total_tokens: 104 }],
    ['whose total is no number', { ...chatUsage, total_tokens: '105' }],
    ['of more reasoning than output', { ...chatUsage, completion_tokens_details: { reasoning_tokens: 6 } }],
    ['of an empty prompt', { prompt_tokens: 0, completion_tokens: 5 }],
    ['of an answer without a token', { prompt_tokens: 100, completion_tokens: 0 }],
    ['of a cache that holds more than the prompt', { ...chatUsage, prompt_tokens_details: { cached_tokens: 101 } }],
    ['of a cache that gives back', { ...chatUsage, prompt_tokens_details: { cached_tokens: -1 } }],
  ])('%s', async (_, usage) => {
    expect((await whole(usage)).tokens).toBeUndefined()
  })

  it('that stands twice in one object', async () => {
    const text = '{"usage":{"prompt_tokens":1,"completion_tokens":50,"completion_tokens":1}}'
    expect(await read(openai, [text], 'whole')).toEqual({ tokens: undefined, text })
  })

  it.each<[string, MeterOptions, string[]]>([
    ['of a stream that does not say that it is over', openai, chatEvents(['a'], chatUsage).slice(0, -1)],
    ['of a stream that has none', openai, chatEvents(['a'])],
    [
      'before the words that it should count',
      openai,
      [...chatEvents([], chatUsage).slice(0, -1), ...chatEvents(['a', 'b'])],
    ],
    [
      'that becomes less',
      anthropic,
      [
        ...messageEvents(['a'], {
          input: { input_tokens: 100, output_tokens: 1 },
          output: { output_tokens: 50 },
        }).slice(0, -1),
        ...messageEvents([], { input: { input_tokens: 1 }, output: { output_tokens: 1 } }).slice(-2),
      ],
    ],
    [
      'of a message that was not finished',
      anthropic,
      messageEvents(['a'], { input: { input_tokens: 100, output_tokens: 1 }, output: {} }).slice(0, -1),
    ],
    [
      'inside the words of an answer',
      openai,
      [data({ choices: [{ delta: { content: JSON.stringify({ usage: chatUsage }) } }] }), data('[DONE]')],
    ],
    ['in an event that is no event of the answer', openai, [data({ usage: chatUsage }), data('[DONE]')]],
  ])('%s', async (_, options, events) => {
    const { tokens, text } = await read(options, events)
    expect([tokens, text]).toEqual([undefined, events.join('')])
  })
})

it('of an answer that goes on after its end, and reads no more of it (V9)', async () => {
  const on = Array.from({ length: 20 }, (_, n) => data(`more ${n}`))
  const { tokens, text } = await read(openai, [...chatEvents(['a'], chatUsage), ...on])
  expect([tokens, text.includes('more 19')]).toEqual([undefined, false])
})

describe('cuts', () => {
  it('a stream that counts more than was reserved, while it flows', async () => {
    const usage = { prompt_tokens: 100, completion_tokens: 51 }
    const running = data({ choices: [{ delta: { content: 'a' } }], usage })
    await expect(read(openai, [running, ...chatEvents(['b'])])).rejects.toThrow('stream_cut: model_output_over_limit')
  })

  it('an answer that becomes longer than so many tokens can be', async () => {
    const long = Array.from({ length: 200 }, () => 'x'.repeat(10))
    await expect(read({ ...openai, mostBytes: 2000 }, chatEvents(long))).rejects.toThrow('stream_cut')
    await expect(read({ ...openai, mostBytes: 2000 }, ['x'.repeat(3000)], 'whole')).rejects.toThrow('stream_cut')
  })
})

it('ends an answer that said that it is over, although its connection does not', async () => {
  const meter = new Meter(openai)
  const text = chatEvents(['a'], chatUsage).join('')
  async function* body() {
    yield Buffer.from(text)
    await new Promise(() => undefined)
  }
  const shown: Uint8Array[] = []
  for await (const chunk of meter.events(body())) shown.push(chunk)
  expect([meter.tokens, Buffer.concat(shown).toString()]).toEqual([five, text])
})
