import { describe, expect, it } from 'vitest'
import { chat, entryOf, request } from '../models/entry.fixture.ts'
import { spellMicros } from '../models/prices.ts'
import { outputFor, withLimit } from './clamp.ts'
import { modelAction, readModelRequest } from './model-request.ts'

const openai = entryOf()
const anthropic = entryOf({ api: 'anthropic' })
const action = (of = embed(), entry = openai) => modelAction('acme', entry, of)
const embed = (more: object = {}) => request('/v1/embeddings', { model: 'vectors', input: 'Hi', ...more })

describe('a request for vectors', () => {
  it('costs its input alone, and is sent as it is', () => {
    const of = embed({ dimensions: 256, encoding_format: 'base64', user: 'someone' })
    const cost = spellMicros(BigInt(2 * (of.body.length + 2048)))
    expect(action(of)).toMatchObject({
      name: 'model/invoke',
      resource: { type: 'model', id: 'acme/vectors' },
      properties: { model: 'vectors', max_output_tokens: 0, cost: { amount: cost, currency: 'USD' } },
    })
    const read = readModelRequest(openai, of)
    if ('refused' in read) throw new Error('refused')
    expect(outputFor(read, 0n)).toBe(0)
    expect(withLimit(of.body, read, 0)).toBe(of.body)
  })

  it.each<[string, unknown]>([
    ['a text', 'Hi'],
    ['texts', ['Hi', 'Ho']],
    ['tokens', [1, 2, 3]],
    ['lists of tokens', [[1, 2], [3]]],
  ])('takes %s, and never makes more tokens of it than it has bytes (V9)', (_, input) => {
    const of = embed({ input })
    expect(action(of)).toMatchObject({ name: 'model/invoke' })
    const read = readModelRequest(openai, of)
    expect(read).toMatchObject({ bound: { input: of.body.length + 2048, outside: 0n } })
  })

  it.each<[string, object]>([
    ['an image', { input: [{ type: 'image_url', image_url: 'https://evil.example/x.png' }] }],
    ['an object', { input: { text: 'Hi' } }],
    ['half a token', { input: [1.5] }],
    ['a token of less than nothing', { input: [-1] }],
    ['nothing', { input: [] }],
    ['lists of nothing', { input: [[]] }],
  ])('refuses %s', (_, more) => {
    expect(action(embed(more))).toEqual({ refused: 'model_request_malformed', detail: 'input' })
  })

  it('refuses members without a rule, a model that writes, and vectors of any other API', () => {
    expect(action(embed({ encoding_format: 'bits' }))).toMatchObject({ detail: 'encoding_format' })
    expect(action(embed({ input_type: 'query' }))).toEqual({ refused: 'model_member_refused', detail: 'input_type' })
    expect(action(embed({ model: 'small' }))).toMatchObject({ refused: 'model_endpoint_unknown' })
    expect(action(chat({ model: 'vectors' }))).toMatchObject({ refused: 'model_endpoint_unknown' })
    expect(action(embed(), anthropic)).toMatchObject({ refused: 'model_endpoint_unknown' })
  })
})
