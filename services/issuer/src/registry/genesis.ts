import type { Bus } from '@bailiwick/bus'
import { jcsHash } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import type { Genesis } from '@bailiwick/installation'
import type { Draft, Voice } from '@bailiwick/instance'

/**
 * Accepts the keys that the root certified before they are in the registry: other issuers, at least, must accept an issuer's messages
 * before it may write the first registry.
 */
export function certifyGenesis({ projection, keyRing }: Pick<Voice, 'projection' | 'keyRing'>, genesis: Genesis): void {
  for (const { type, id, value } of genesis.entities)
    if (type === 'service-key' && projection.ledger.registry.record(type, id) === undefined)
      keyRing.certify(value.certificate)
}

/**
 * Publishes those entities of the genesis that are not in the registry yet: all at the first start, the rest if that start was
 * interrupted. Later starts find everything there. Throws `trust_invalid` if the topic belongs to another installation, or if there
 * is something to publish that trust.json does not commit to: an entity that was left out of the file would go unnoticed.
 */
export async function publishGenesis(
  bus: Bus,
  { projection, producer, keyRing }: Voice,
  genesis: Genesis,
): Promise<void> {
  const { registry } = projection.ledger
  const [end = 0] = await bus.ends('registry.v1')
  if (end > 0 && registry.records().length === 0)
    throw new ServiceError('trust_invalid', 'registry.v1 does not lead back to this trust.json')
  if (registry.view().enrolled) return
  for (const { type, id, value, jws } of genesis.entities) {
    if (registry.record(type, id) !== undefined) continue
    if (keyRing.trust.genesis === undefined)
      throw new ServiceError(
        'trust_invalid',
        'trust.json was made by an earlier version and never started: it does not sign genesis.json as a whole. Run bailiwick init again, in an empty folder',
      )
    const data = { entity: { type, id }, value, hash: jcsHash(value), authorization: { kind: 'root', jws } }
    await producer.publishOne('registry.v1', {
      type: `${type}.registered`,
      subject: `${type} ${id}`,
      version: 1,
      data,
    } as Draft<'registry.v1'>)
  }
}
