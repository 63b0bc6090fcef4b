import type { SigningKey } from '@bailiwick/credentials'
import type { Genesis } from '@bailiwick/installation'
import { openParticipant } from '@bailiwick/projection'
import type { Adapters } from '@bailiwick/service-host'
import { newId } from '@bailiwick/service-kit'
import type { IssuerConfig } from './config.ts'
import type { Issuer } from './context.ts'
import { dpopNonces } from './dpop-nonces.ts'
import { publishGenesis } from './genesis.ts'
import { metadataRoutes } from './http/metadata.ts'
import { revocationRoutes } from './http/revocations.ts'
import { tokenRoute } from './http/token.ts'
import { react } from './react.ts'
import { ReplayMemory } from './replay-memory.ts'

export interface IssuerAdapters extends Omit<Adapters, 'data' | 'metrics'> {
  /** The first registry, published into an empty topic. */
  genesis: Genesis
  keys: { event: SigningKey<'issuer-event'>; credential: SigningKey<'credential'> }
}

/** Starts the issuer: sole writer of registry, grants and revocations; mints credentials. */
export async function startIssuer(config: IssuerConfig, adapters: IssuerAdapters): Promise<AsyncDisposable> {
  const { bus, trust, keys, clock, random, logger, health, http, operator, onFatal } = adapters
  const participant = await openParticipant({
    bus,
    trust,
    service: 'issuer',
    instance: config.instance,
    eventKey: keys.event,
    follows: ['approvals.v1', 'grants.v1', 'revocations.v1'],
    time: clock,
    newEventId: () => newId('evt', clock.now(), random),
    maxStalenessMs: config.maxStalenessMs,
    onFatal,
    onHeadError: (err) => logger.warn({ err }, 'a head could not be published'),
    beforeHeads: (started) => publishGenesis(bus, started, adapters.genesis),
  })
  const issuer: Issuer = {
    ...participant,
    trust,
    credentialKey: keys.credential,
    issuerUrl: config.publicUrl,
    credentialSeconds: config.credentialSeconds,
    clock,
    random,
    logger,
  }
  const tokenUrl = `${config.publicUrl}/oauth/token`
  const endpoint = { issuer, nonces: dpopNonces(clock, random), replay: new ReplayMemory(), tokenUrl }
  tokenRoute(http, endpoint)
  metadataRoutes(http, issuer, tokenUrl)
  revocationRoutes(operator, issuer)
  health.check('issuer-fresh', () => (participant.projection.fresh() ? undefined : 'the state is not proved fresh'))
  const reactions = react(issuer)
  return {
    async [Symbol.asyncDispose]() {
      await reactions[Symbol.asyncDispose]()
      await participant[Symbol.asyncDispose]()
    },
  }
}
