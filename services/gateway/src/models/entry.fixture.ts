import { parseGatewayFile } from '../gateway-file.ts'
import type { ModelsEntry } from './models-entry.ts'

/** Prices at which tokens are easy to count: 1 USD for a million of input, 10 for a million of output. */
export const prices = {
  version: '2026-11-29',
  currency: 'USD',
  models: {
    small: { input: '1', output: '10', most_output: 1000, default_output: 100 },
    vectors: { input: '2', embeddings: true as const },
    seeing: {
      ...{ input: '1', output: '10', cache_read: '0.1', cache_write: '1.25', most_output: 1000, image_tokens: 1500 },
      outside: { web_search: '0.05', file_id: '0.01' },
    },
  },
}

export const entryOf = (more: object = {}): ModelsEntry => {
  const text = JSON.stringify({ models: { acme: { api: 'openai', url: 'https://acme.example', prices, ...more } } })
  const entry = parseGatewayFile(text, 'gateway.yaml').models.acme
  if (entry === undefined) throw new Error('no entry')
  return entry
}

export const request = (path: string, body: unknown, headers: readonly string[] = []) => ({
  method: 'POST',
  target: path,
  headers: ['content-type', 'application/json', ...headers],
  body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
})

export const chat = (more: object = {}) =>
  request('/v1/chat/completions', {
    model: 'small',
    messages: [{ role: 'user', content: 'Hi' }],
    max_completion_tokens: 50,
    ...more,
  })
