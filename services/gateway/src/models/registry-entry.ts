import { stringify } from 'yaml'
import { costPointers } from '../model-requests/model-request.ts'
import type { ModelsEntry } from './models-entry.ts'
import { pricesHash } from './prices.ts'

/**
 * The registry's entry of a provider, in YAML: its manifest is the hash of its prices, each model has its labels and the arguments that state
 * what a call costs, and `*` stands for the list of models.
 */
export function modelsRegistryEntry(name: string, entry: ModelsEntry): string {
  const models = Object.entries(entry.prices.models).map(([model, { labels }]) => [
    model,
    { labels, cost: costPointers },
  ])
  const tools = { ...Object.fromEntries(models), '*': { labels: [] } }
  const server = { id: entry.server ?? name, url: entry.url, manifest: pricesHash(entry), tools }
  return stringify({ tool_servers: [server] }, { lineWidth: 0, aliasDuplicateObjects: false })
}

/** As for a server of tools that was read: here there is nothing to read, since the prices stand in the file. */
export function pinnedPrices(name: string, entry: ModelsEntry): { entry: string; notes: string[] } {
  const { version, currency } = entry.prices
  const note = `The prices of version ${version} (${currency}) count once this entry is applied: bailiwick registry apply FILE`
  return { entry: modelsRegistryEntry(name, entry), notes: [note] }
}
