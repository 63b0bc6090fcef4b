import type { Logger } from '@bailiwick/host'
import type { EnforcementPoint } from '@bailiwick/pep'
import type { SecretPort } from '@bailiwick/relay'
import type { Shares } from '../mcp/shares.ts'
import { HttpSender } from '../servers/http-sender.ts'
import { secretsIn } from '../template.ts'
import { ModelProvider } from './model-provider.ts'
import { ModelProviders } from './model-providers.ts'

export interface OpenModelsOptions {
  point: EnforcementPoint
  secrets: SecretPort
  logger: Pick<Logger, 'warn'>
  /** The gateway's own address, without a path. */
  publicUrl: string
  /** Further audiences that mean every provider: the gateway's address, and the installation's. */
  audiences: readonly string[]
  shares: Shares
}

/** An answer that does not flow comes when all of it was computed. */
const headMs = 600_000

/** The providers of models behind an enforcement point. */
export function modelProviders({ secrets, logger, publicUrl, ...common }: OpenModelsOptions): ModelProviders {
  return new ModelProviders((name, entry) => {
    const inject = entry.inject.headers ?? {}
    for (const reference of Object.values(inject).flatMap(secretsIn)) secrets.check(reference)
    const options = { inject, secrets, isPrivate: entry.private, headMs }
    return new ModelProvider({
      ...{ name, entry, ...common, address: `${publicUrl}/models/${name}` },
      openSender: (url) => new HttpSender({ url, ...options }),
      onUnsettled: (model) =>
        logger.warn({ server: name, model }, 'a model call was spent in full: no usage that can be true'),
      onBeyond: (model) =>
        logger.warn(
          { server: name, model },
          'an answer is beyond what was reserved for it: its grant gets no further call of this model',
        ),
    })
  })
}
