import type { Logger } from '@bailiwick/host'
import type { EnforcementPoint } from '@bailiwick/pep'
import type { SecretPort } from '@bailiwick/relay'
import { HttpSender } from '../servers/http-sender.ts'
import { secretsIn } from '../template.ts'
import { ModelProvider } from './model-provider.ts'
import { ModelProviders } from './model-providers.ts'

export interface OpenModelsOptions {
  point: EnforcementPoint
  secrets: SecretPort
  logger: Pick<Logger, 'warn'>
}

/** An answer that does not flow comes when all of it was computed. */
const headMs = 600_000

/** The providers of models behind an enforcement point. */
export function modelProviders({ point, secrets, logger }: OpenModelsOptions): ModelProviders {
  return new ModelProviders((name, entry) => {
    const inject = entry.inject.headers ?? {}
    for (const reference of Object.values(inject).flatMap(secretsIn)) secrets.check(reference)
    const options = { inject, secrets, isPrivate: entry.private, headMs }
    return new ModelProvider({
      ...{ name, entry, point },
      openSender: (url) => new HttpSender({ url, ...options }),
      onUnsettled: (model) =>
        logger.warn({ server: name, model }, 'a model call was spent in full: no usage that can be true'),
    })
  })
}
