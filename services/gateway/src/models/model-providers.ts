import type { GatewayFile } from '../gateway-file.ts'
import type { ModelProvider } from './model-provider.ts'
import type { ModelsEntry } from './models-entry.ts'

/** The providers of models of the file that is in use. */
export class ModelProviders implements AsyncDisposable {
  readonly #open: (name: string, entry: ModelsEntry) => ModelProvider
  #all = new Map<string, { entry: string; provider: ModelProvider }>()

  constructor(open: (name: string, entry: ModelsEntry) => ModelProvider) {
    this.#open = open
  }

  get(name: string): ModelProvider | undefined {
    return this.#all.get(name)?.provider
  }

  /**
   * Opens the providers of a file. Throws `config_invalid`; then nothing was changed. Only what it returns puts them into use: one that
   * changed gets no new call, and ends after the answers that flow.
   */
  prepare(entries: GatewayFile['models']): () => void {
    const earlier = this.#all
    const next = new Map(
      Object.entries(entries).map(([name, entry]) => {
        const known = earlier.get(name)
        const text = JSON.stringify(entry)
        return [name, known?.entry === text ? known : { entry: text, provider: this.#open(name, entry) }]
      }),
    )
    return () => {
      this.#all = next
      const kept = new Set([...next.values()].map(({ provider }) => provider))
      for (const { provider } of earlier.values()) if (!kept.has(provider)) provider.retire()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#all.values()].map(({ provider }) => provider[Symbol.asyncDispose]()))
  }
}
