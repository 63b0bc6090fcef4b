import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { dirname } from 'node:path'
import { type Entity, type EntityType, type ServiceKey, type ServiceName, topics } from '@bailiwick/contracts'
import {
  encodeTrust,
  generateKey,
  genesisCommitment,
  jcsHash,
  type ServicePurpose,
  type SigningKey,
  serviceOfPurpose,
  signGenesisStatement,
  signServiceKeyCertificate,
  signTrust,
  type Trust,
  writeKeyFile,
} from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { encodeVkey, SIGNATURE_TYPE, SignerKey } from '@bailiwick/tlog'
import { assertDataUsable } from './data-folder.ts'
import { type Genesis, genesisStatements } from './genesis.ts'
import { paths } from './paths.ts'
import { type PolicyFiles, policySetOf, storePolicyFiles } from './policies.ts'

export interface InitialiseOptions {
  /** The data directory; it must hold no installation yet. */
  data: string
  /** The address for people and agents, for example `http://localhost:8420`. */
  publicUrl: string
  singleOperator: boolean
  /** For `bailiwick dev` only: trust.json says for good that a program approves, and the root key is never written to disk. */
  softwareApprover?: true | undefined
  /** ms since the epoch. */
  now: number
  randomBytes: (length: number) => Uint8Array
  policies: PolicyFiles
  /**
   * The initial registry entities other than service keys and the policy set. A function may write keys of its own; it is called only after
   * everything else was found usable.
   */
  entities: InitialEntities | (() => InitialEntities)
  /** Encrypts the root key and the services' keys; absent: they are stored in plain text, 0600. */
  secret?: string | undefined
}

export type InitialEntities = readonly { [T in EntityType]: { type: T; value: Entity<T> } }[EntityType][]

const validityMs = 5 * 365 * 24 * 3600 * 1000

/** The file of each certified key, by purpose, in the folder of its service. */
export const keyFileNames = {
  'issuer-event': 'event',
  credential: 'credential',
  'approval-event': 'event',
  'pdp-event': 'event',
  permit: 'permit',
  'binding-token': 'binding-token',
  notification: 'notification',
  'evidence-event': 'event',
} as const satisfies Record<ServicePurpose, string>

/**
 * Creates an installation, once (DESIGN §3): keys with one purpose each, trust.json, and the first registry signed by the root key.
 * trust.json is written last: without it nothing here counts, and the next attempt starts over. Throws `config_invalid`, before anything is
 * written, if there is an installation already or an option cannot be used.
 */
export function initialise(options: InitialiseOptions): Trust {
  const { data, now, publicUrl, singleOperator, softwareApprover } = options
  const at = paths(data)
  if (existsSync(at.trust)) throw new ServiceError('config_invalid', `there is an installation in ${data} already`)
  refuseUnusable(publicUrl)
  assertDataUsable(data)
  const entities = typeof options.entities === 'function' ? options.entities() : options.entities
  if (existsSync(at.keys(''))) renameSync(at.keys(''), `${at.keys('').replace(/\/$/, '')}.abandoned-${now}`)
  mkdirSync(data, { recursive: true, mode: 0o700 })
  const installation = `ins_${Buffer.from(options.randomBytes(10)).toString('hex')}`
  const root = generateKey('root')
  if (!softwareApprover) keep(root, at.keys('root'), 'root', options.secret)
  const invitation = keep(generateKey('invitation'), at.keys('invitation'), 'invitation')
  const serviceKeys = Object.keys(keyFileNames).map((purpose) =>
    makeServiceKey(purpose as ServicePurpose, { data, installation, now, root, secret: options.secret }),
  )
  const logKey = new SignerKey(`bailiwick.local/${installation}`, options.randomBytes(32), SIGNATURE_TYPE.ED25519)
  writeNew(at.logKey, `${logKey.toSkey()}\n`, 0o600)
  const policySet = policySetOf(options.policies)
  storePolicyFiles(at.policies(policySet.hash), options.policies)

  const signed = (type: EntityType, value: Entity) => ({
    type,
    id: value.id,
    value,
    jws: signGenesisStatement(
      { installation, entity_type: type, entity_id: value.id, version: 1, after: jcsHash(value) },
      root,
    ),
  })
  const genesis = {
    v: 1,
    entities: [
      ...serviceKeys.map((key) => signed('service-key', key)),
      signed('policy-set', policySet),
      ...entities.map(({ type, value }) => signed(type, value)),
    ],
  } as Genesis
  writeNew(at.genesis, `${JSON.stringify(genesis, undefined, 2)}\n`, 0o644)
  const { origin, hostname } = new URL(publicUrl)
  const facts: Omit<Trust, 'jws'> = {
    v: 1,
    installation,
    root: { jwk: publicHalf(root) },
    log: { vkey: encodeVkey(logKey.verifier) },
    rp_id: hostname,
    origins: [origin],
    single_operator: singleOperator,
    ...(softwareApprover ? { software_approver: true } : {}),
    invitation: { jwk: publicHalf(invitation) },
    public_url: publicUrl,
    created_at: new Date(now).toISOString(),
    genesis: genesisCommitment(genesisStatements(genesis, installation)),
  }
  const trust = signTrust(facts, root)
  mkdirSync(at.log, { recursive: true, mode: 0o700 })
  writeNew(at.logVkey, `${trust.log.vkey}\n`, 0o644)
  writeNew(at.trust, encodeTrust(trust), 0o644)
  return trust
}

/** A passkey's relying party is a domain, and browsers refuse passkeys over plain http beyond this machine (WebAuthn §5.1). */
function refuseUnusable(publicUrl: string): void {
  const url = URL.parse(publicUrl)
  const usable =
    url !== null &&
    isIP(url.hostname.replace(/^\[|\]$/g, '')) === 0 &&
    (url.protocol === 'https:' || url.hostname === 'localhost')
  if (!usable)
    throw new ServiceError(
      'config_invalid',
      `the public URL (BAILIWICK_PUBLIC_URL) ${publicUrl}: passkeys need https and a name, or http://localhost`,
    )
}

function makeServiceKey(
  purpose: ServicePurpose,
  at: { data: string; installation: string; now: number; root: SigningKey<'root'>; secret: string | undefined },
): ServiceKey {
  const folder = paths(at.data).keys(serviceOfPurpose[purpose])
  return certifiedServiceKey(keep(generateKey(purpose), folder, keyFileNames[purpose], at.secret), at)
}

/** The registry entity of a service's key: for its one purpose and its service's topics, certified by the root for five years. */
export function certifiedServiceKey(
  key: SigningKey<ServicePurpose>,
  at: { installation: string; now: number; root: SigningKey<'root'> },
): ServiceKey {
  const { purpose } = key
  const service = serviceOfPurpose[purpose]
  const validity = {
    not_before: new Date(at.now - 60_000).toISOString(),
    not_after: new Date(at.now + validityMs).toISOString(),
  }
  const facts = { purpose, service, topics: purpose.endsWith('-event') ? writtenBy(service) : [], ...validity }
  const jwk = publicHalf(key)
  const certificate = signServiceKeyCertificate({ installation: at.installation, kid: key.kid, jwk, ...facts }, at.root)
  return { id: key.kid, jwk, ...facts, certificate }
}

const writtenBy = (service: ServiceName) =>
  topics.filter(({ writer }) => writer === service || writer === 'every service').map(({ name }) => name)

function keep<K extends SigningKey>(key: K, folder: string, name: string, secret?: string): K {
  writeKeyFile(folder, name, key, secret)
  return key
}

function publicHalf(key: SigningKey): Trust['root']['jwk'] {
  const { publicJwk } = key
  if (publicJwk.kty !== 'EC') throw new ServiceError('invariant_broken', 'keys of ours are ES256')
  return publicJwk as Trust['root']['jwk']
}

function writeNew(path: string, text: string | Uint8Array, mode: number): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  writeFileSync(`${path}.new`, text, { mode, flush: true })
  renameSync(`${path}.new`, path)
}
