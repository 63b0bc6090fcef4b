import { currentKey, fileSigner, type RotatingKey, type SigningKey } from '@bailiwick/credentials'
import { Attestors } from '@bailiwick/credentials/attestation'
import { ServiceError } from '@bailiwick/errors'
import { dpopNonces, observeProjection, showStanding } from '@bailiwick/host'
import type { Adapters, Host } from '@bailiwick/host/process'
import { assertGenesisWhole, type Genesis } from '@bailiwick/installation'
import { openSuccessor, type Projection } from '@bailiwick/instance'
import { newId, RateLimiter, ReplayMemory } from '@bailiwick/kit'
import type { IssuerConfig } from './config.ts'
import type { Issuer } from './context.ts'
import { completionRoute } from './http/completion.ts'
import { delegationRevocationRoute } from './http/delegation-revocation.ts'
import { grantStateRoute } from './http/grant-state.ts'
import { joinTokenRoutes } from './http/join-tokens.ts'
import { keyRoutes } from './http/keys.ts'
import { metadataRoutes } from './http/metadata.ts'
import { recoveryRoutes } from './http/recoveries.ts'
import { revocationRoutes } from './http/revocations.ts'
import { tokenRoute } from './http/token.ts'
import { tokenStateRoutes } from './http/token-state.ts'
import { react } from './react.ts'
import { certifyGenesis, publishGenesis } from './registry/genesis.ts'
import { declareRestored, type Restored } from './revocations/declare-restored.ts'
import { countAssertions } from './tokens/authenticate-reader.ts'
import type { OAuthEndpoint } from './tokens/client-call.ts'
import { Polls } from './tokens/polls.ts'

export { restoredFrom } from './revocations/declare-restored.ts'

export interface IssuerAdapters extends Omit<Adapters, 'data'> {
  /** The first registry, published into an empty topic. */
  genesis: Genesis
  /** The data directory comes from a backup, and that has not been declared yet. */
  restored?: Restored | undefined
  keys: {
    event: SigningKey<'issuer-event'> | RotatingKey<'issuer-event'>
    credential: SigningKey<'credential'> | RotatingKey<'credential'>
  }
}

/** Its keys, from its folder of the data directory. */
export const issuerKeys = ({ key }: Pick<Host, 'key'>): IssuerAdapters['keys'] => ({
  event: key('issuer', 'event', 'issuer-event'),
  credential: key('issuer', 'credential', 'credential'),
})

export interface StartedIssuer extends AsyncDisposable {
  /** The state that it has read. */
  readonly projection: Projection
}

/** Bursts of ten seconds' worth, for as many agents as are likely to exist. */
const agentRate = (perSecond = 100) => ({ perSecond, burst: 10 * perSecond, maxKeys: 100_000 })

/**
 * Starts the issuer, the sole writer of registry, grants and revocations; it mints credentials. One instance is active. It is this one when
 * the promise resolves, unless another one is; a second instance follows everything and stands by. Throws `config_invalid` for an
 * address other than the installation's: decision points would refuse every credential from there. Throws `trust_invalid` for a genesis
 * that trust.json does not sign as a whole.
 */
export async function startIssuer(config: IssuerConfig, adapters: IssuerAdapters): Promise<StartedIssuer> {
  const { bus, trust, keys, genesis, clock, random, logger, health, metrics, http, operator, onFatal } = adapters
  if (config.publicUrl !== trust.public_url)
    throw new ServiceError(
      'config_invalid',
      `BAILIWICK_PUBLIC_URL: readers take credentials of ${trust.public_url} alone, and none of ${config.publicUrl}`,
    )
  assertGenesisWhole(genesis, trust)
  if (trust.genesis === undefined)
    logger.warn('TRUST.JSON OF AN EARLIER VERSION: it does not sign the genesis as a whole (docs/decisions/0042)')
  const { onStanding, gate } = showStanding('issuer', { health, metrics, logger })
  await using started = new AsyncDisposableStack()
  const successor = started.use(
    await openSuccessor({
      bus,
      trust,
      service: 'issuer',
      instance: config.instance,
      eventKey: keys.event,
      otherKeys: [keys.credential],
      onKeyMissing: (missing) => logger.error(missing, 'A KEY IS MISSING HERE'),
      follows: ['approvals.v1', 'grants.v1', 'revocations.v1'],
      time: clock,
      newEventId: () => newId('evt', clock.now(), random),
      maxStalenessMs: config.maxStalenessMs,
      snapshots: adapters.snapshots?.('issuer'),
      onFatal,
      onHeadError: (err) => logger.warn({ err }, 'a head could not be published'),
      onStanding,
    }),
  )
  const issuer: Issuer = {
    ...successor,
    trust,
    credentialSigner: () => fileSigner(currentKey(keys.credential)),
    holdsKey: (kid) => holds(keys.event, kid) || holds(keys.credential, kid),
    keyRotationMs: (config.keyRotationDays ?? 0) * 86_400_000,
    issuerUrl: config.publicUrl,
    credentialSeconds: config.credentialSeconds,
    maxStalenessMs: config.maxStalenessMs,
    attestors: new Attestors({ clock }),
    clock,
    random,
    logger,
  }
  const endpoint: OAuthEndpoint = {
    issuer,
    countsSince: Number.POSITIVE_INFINITY,
    nonces: dpopNonces(clock, random),
    replay: new ReplayMemory(),
    rate: new RateLimiter({ ...agentRate(config.agentCallsPerSecond), clock }),
    polls: new Polls(),
    tokenUrl: `${config.publicUrl}/oauth/token`,
    introspectionUrl: `${config.publicUrl}/oauth/introspect`,
    revocationUrl: `${config.publicUrl}/oauth/revoke`,
  }
  tokenRoute(http, endpoint)
  tokenStateRoutes(http, endpoint)
  completionRoute(http, endpoint)
  grantStateRoute(http, endpoint)
  delegationRevocationRoute(http, endpoint)
  metadataRoutes(http, endpoint)
  revocationRoutes(operator, issuer)
  recoveryRoutes(operator, issuer)
  keyRoutes(operator, issuer)
  joinTokenRoutes(operator, issuer)
  health.check('issuer-fresh', () => (issuer.projection.fresh() ? undefined : 'the state is not proved fresh'))
  gate(successor.standby)
  observeProjection('issuer', successor.projection, { metrics, clock, producer: successor.producer })
  certifyGenesis(successor, genesis)
  await successor.standBy(async () => {
    countAssertions(endpoint)
    await publishGenesis(bus, successor, genesis)
    if (adapters.restored) await declareRestored(issuer, adapters.restored)
    return react(issuer, bus)
  })
  const owned = started.move()
  return { projection: successor.projection, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

const holds = (key: SigningKey | RotatingKey, kid: string): boolean =>
  isRotating(key) ? key.holds(kid) : key.kid === kid
const isRotating = (key: SigningKey | RotatingKey): key is RotatingKey => 'holds' in key
