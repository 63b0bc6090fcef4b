import type { ServiceKey } from '@bailiwick/contracts'
import type { KeyStanding } from '@bailiwick/contracts/api'
import { jcsHash } from '@bailiwick/credentials'
import { errorCode, errorKinds, ServiceError } from '@bailiwick/errors'
import { type EntityRecord, takeoverMs } from '@bailiwick/projection'
import type { Issuer } from '../context.ts'
import { writeEntity } from '../registry/change-registry.ts'
import { type KeyStep, stateOf, stepsDue } from './key-schedule.ts'

/** Within this time every instance that may still be active has read which key signs now: an instance cut off for longer is stale. */
const followedMs = 2000

/**
 * Takes in a key that the root certified, ahead of the day on which it signs, so that verifiers have it by then. Asking again with the same
 * key adds no second one. Throws `registry_change_conflict` for a key that was revoked, or for a different key of the same name.
 */
export async function registerKey(issuer: Issuer, value: ServiceKey, jws: string): Promise<void> {
  if (value.state !== 'prepared') throw new ServiceError('registry_change_refused', 'a key comes prepared')
  const known = issuer.projection.ledger.registry.record('service-key', value.id)
  const after = jcsHash(value)
  if (known === undefined)
    await writeEntity(issuer, { type: 'service-key', id: value.id, version: 1, after, value }, { kind: 'root', jws })
  else if (known.hash !== after) throw new ServiceError('registry_change_conflict', 'this key is further on its way')
}

/**
 * Moves a key to its next state; states have one direction. Resolves when that is durable and counts. Asking again changes nothing. Throws
 * `entity_unknown`, and `registry_change_conflict` if a service would be left unable to speak, or with a key that it does not have.
 */
export async function moveKey(issuer: Issuer, kid: string, to: KeyStep): Promise<void> {
  const record = issuer.projection.ledger.registry.record('service-key', kid)
  if (record === undefined) throw new ServiceError('entity_unknown', 'there is no key of this name')
  if (record.value === undefined) {
    if (to === 'revoked') return
    throw new ServiceError('registry_change_conflict', 'the key was revoked')
  }
  if (stateOf(record.value) === to) return
  refuseUnusable(issuer, record.value, to)
  if (to === 'revoked' && isEventKey(record.value)) await followed(issuer, record)
  const change = { type: 'service-key' as const, id: kid, version: record.version + 1 }
  const value = { ...record.value, state: to } as ServiceKey
  await writeEntity(issuer, to === 'revoked' ? change : { ...change, value, after: jcsHash(value) }, { kind: 'issuer' })
  issuer.logger.warn({ kid, purpose: record.value.purpose, state: to }, 'a key moved on')
}

function refuseUnusable(issuer: Issuer, key: ServiceKey, to: KeyStep): void {
  const state = stateOf(key)
  const { keyRing, clock, projection } = issuer
  if (to === 'active') {
    if (state !== 'prepared') throw new ServiceError('registry_change_conflict', `the key is ${state}`)
    if (!keyRing.find(key.id, key.purpose, clock.now()).ok)
      throw new ServiceError('registry_change_conflict', 'the key’s certificate is not valid now')
    if (key.service === 'issuer' && !issuer.holdsKey(key.id))
      throw new ServiceError(
        'registry_change_conflict',
        'the issuer does not have this key: put its file into keys/issuer',
      )
    return
  }
  const others = projection.ledger.registry.serviceKeyOrder.signers(key.purpose).filter(({ id }) => id !== key.id)
  if (state !== 'active') return
  // A service that cannot speak could not announce a new active key either: the log would have ended.
  if (others.length === 0 && (to === 'tainted' || isEventKey(key)))
    throw new ServiceError('registry_change_conflict', `no other ${key.purpose} key may sign: activate one first`)
  if (to === 'revoked' && isEventKey(key))
    throw new ServiceError(
      'registry_change_conflict',
      'taint it first: what its service signs with it meanwhile would be lost',
    )
}

/** Waits until no instance signs with the key any more: events signed by a revoked key are ignored. */
async function followed({ clock }: Issuer, { changedAt }: EntityRecord): Promise<void> {
  const ms = changedAt + followedMs - clock.now()
  if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms))
}

const isEventKey = ({ purpose }: ServiceKey) => purpose.endsWith('-event')

/**
 * Does what the schedule says. Exception: a key is tainted only once its service is heard to use the new key; otherwise the service would
 * fall silent without an order. A key that cannot be moved does not hold up the others. Once all were tried, rejects with the reason.
 */
export async function rotateOnSchedule(issuer: Issuer): Promise<void> {
  const { projection, clock, keyRotationMs, logger } = issuer
  const { registry } = projection.ledger
  const failed: unknown[] = []
  for (const { kid, to } of stepsDue(registry, clock.now(), keyRotationMs)) {
    if (to === 'tainted' && !followsKeys(issuer, registry.get('service-key', kid)?.service)) continue
    try {
      await moveKey(issuer, kid, to)
    } catch (error) {
      failed.push(error)
      logger.error({ error_code: errorCode(error), kid, state: to }, 'A KEY COULD NOT BE MOVED ON')
    }
  }
  if (failed.length > 0) throw failed.find((error) => errorKinds[errorCode(error)].retryable) ?? failed[0]
}

/**
 * Whether at least one instance of the service is heard, and all that are heard sign their heads with the event key that should sign. An
 * instance that does not lacks key files. Use of its other keys cannot be heard.
 */
function followsKeys({ projection, clock, logger }: Issuer, service: ServiceKey['service'] | undefined): boolean {
  const { heads, ledger } = projection
  const since = clock.monotonic() - takeoverMs
  const heard = heads.all().filter((each) => each.service === service && !each.stopping && each.receivedAt >= since)
  const behind = heard.filter(({ kid }) => {
    const purpose = ledger.registry.get('service-key', kid)?.purpose
    return purpose === undefined || signerOf(ledger.registry, purpose) !== kid
  })
  for (const { kid, producer } of behind) logger.error({ kid, producer }, 'A KEY IS MISSING THERE')
  return heard.length > 0 && behind.length === 0
}

/** Every key of the services, past and present. */
export function keyStandings({ projection, keyRing }: Issuer): KeyStanding[] {
  const { registry } = projection.ledger
  const all = keyRing.keys()
  const signing = new Set([...new Set(all.map(({ purpose }) => purpose))].map((purpose) => signerOf(registry, purpose)))
  return all.flatMap(({ kid, purpose, service, notAfter }) => {
    const record = registry.record('service-key', kid)
    if (record === undefined) return []
    const state = record.value === undefined ? 'revoked' : stateOf(record.value)
    return {
      ...{ kid, purpose, service, state: state === 'active' && !signing.has(kid) ? 'replaced' : state },
      since: new Date(record.changedAt).toISOString(),
      not_after: new Date(notAfter).toISOString(),
    }
  })
}

const signerOf = ({ serviceKeyOrder }: Issuer['projection']['ledger']['registry'], purpose: string) =>
  serviceKeyOrder.signers(purpose)[0]?.id
