import type { Logger } from '@bailiwick/host'
import type { EntryOptions } from '../decided-entry.ts'
import { Served } from '../served.ts'
import { HttpSender } from '../servers/http-sender.ts'
import { ModelProvider } from './model-provider.ts'
import type { ModelsEntry } from './models-entry.ts'

export interface ModelProvidersOptions extends Omit<EntryOptions<ModelsEntry>, 'name' | 'entry' | 'address'> {
  logger: Pick<Logger, 'warn'>
  /** The gateway's own address, without a path. */
  publicUrl: string
}

/** An answer that does not flow comes when all of it was computed. */
const headMs = 600_000

/** The providers of models of the file that is in use. */
export class ModelProviders extends Served<ModelsEntry, ModelProvider> {
  constructor({ logger, publicUrl, ...common }: ModelProvidersOptions) {
    const open = (name: string, entry: ModelsEntry) =>
      new ModelProvider({
        ...{ name, entry, ...common, address: `${publicUrl}/models/${name}` },
        sender: new HttpSender({
          ...{ url: entry.url, inject: entry.inject.headers ?? {}, secrets: common.secrets, headMs },
          isPrivate: entry.private,
        }),
        onUnsettled: (model) =>
          logger.warn({ server: name, model }, 'a model call was spent in full: no usage that can be true'),
        onBeyond: (model) =>
          logger.warn(
            { server: name, model },
            'an answer is beyond what was reserved for it: its grant gets no further call of this model',
          ),
      })
    super({ open })
  }
}
