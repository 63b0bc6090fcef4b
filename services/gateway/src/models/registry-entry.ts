import { pinned } from '../pin/pinned.ts'
import { costPointers } from '../stated-cost.ts'
import type { ModelsEntry } from './models-entry.ts'
import { pricesHash } from './prices.ts'

/**
 * The registry's entry of a provider: its manifest is the hash of its prices, each model has its labels and the arguments that state
 * what a call costs, and `*` stands for the list of models.
 */
export function modelsRegistryEntry(name: string, entry: ModelsEntry) {
  const models = Object.entries(entry.prices.models).map(([model, { labels }]) => [
    model,
    { labels, cost: costPointers },
  ])
  const tools = { ...Object.fromEntries(models), '*': { labels: [] } }
  return { id: entry.server ?? name, url: entry.url, manifest: pricesHash(entry), tools }
}

/** As for a server of tools that was read: here there is nothing to read, since the prices stand in the file. */
export const pinnedPrices = (name: string, entry: ModelsEntry) =>
  pinned(
    modelsRegistryEntry(name, entry),
    `The prices of version ${entry.prices.version} (${entry.prices.currency}) count once this entry is applied`,
  )
