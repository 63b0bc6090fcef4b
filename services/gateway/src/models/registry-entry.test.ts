import { expect, it } from 'vitest'
import { entryOf } from './entry.fixture.ts'
import { pricesHash } from './prices.ts'
import { modelsRegistryEntry } from './registry-entry.ts'

it('is what people sign: the hash of the prices, and where each model states its cost', () => {
  const cost = { amount: '/cost/amount', currency: '/cost/currency' }
  expect(modelsRegistryEntry('acme', entryOf())).toEqual({
    ...{ id: 'acme', url: 'https://acme.example/', manifest: pricesHash(entryOf()) },
    tools: {
      small: { labels: [], cost },
      vectors: { labels: [], cost },
      seeing: { labels: [], cost },
      '*': { labels: [] },
    },
  })
  expect(modelsRegistryEntry('acme', entryOf({ server: 'other' }))).toMatchObject({ id: 'other' })
})
