import { type EntityType, entitySchemas, parseStrictJson } from '@bailiwick/contracts'
import { type GenesisStatement, genesisCommitment, jcsHash, longestGenesis, type Trust } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { z } from 'zod'

const genesisEntity = <T extends EntityType>(type: T) =>
  z.strictObject({ type: z.literal(type), id: z.string(), value: entitySchemas[type], jws: z.string() })

const genesisSchema = z.strictObject({
  v: z.literal(1),
  entities: z
    .array(
      z.discriminatedUnion('type', [
        genesisEntity('service-key'),
        genesisEntity('agent'),
        genesisEntity('approver'),
        genesisEntity('rule'),
        genesisEntity('tool-server'),
        genesisEntity('enforcement-point'),
        genesisEntity('auditor'),
        genesisEntity('policy-set'),
        genesisEntity('recovery'),
      ]),
    )
    .min(1)
    .max(longestGenesis),
})

/**
 * The first registry, each entity with the root key's signature. Service keys come first, because they sign the rest. The issuer publishes
 * it once, into an empty registry.
 */
export type Genesis = z.infer<typeof genesisSchema>

/** Parses genesis.json strictly. Throws `trust_invalid`. */
export function parseGenesis(bytes: Uint8Array): Genesis {
  try {
    return genesisSchema.parse(parseStrictJson(bytes))
  } catch (cause) {
    throw new ServiceError('trust_invalid', 'genesis.json does not match its schema', { cause })
  }
}

/** The root key's signed statement about each entity, in order. */
export function genesisStatements(genesis: Pick<Genesis, 'entities'>, installation: string): GenesisStatement[] {
  return genesis.entities.map(({ type, id, value }) => ({
    installation,
    entity_type: type,
    entity_id: id,
    version: 1,
    after: jcsHash(value),
  }))
}

/**
 * Checks that this is the genesis to which trust.json commits: no entity left out, added, duplicated, changed or moved. Throws
 * `trust_invalid`. A trust.json without a commitment, made by an earlier version, accepts any genesis.
 */
export function assertGenesisWhole(genesis: Genesis, { installation, genesis: signed }: Trust): void {
  if (signed === undefined) return
  const { count, sha256 } = genesisCommitment(genesisStatements(genesis, installation))
  if (count !== signed.count)
    throw new ServiceError('trust_invalid', `genesis.json holds ${count} entities, trust.json signs ${signed.count}`)
  if (sha256 !== signed.sha256)
    throw new ServiceError(
      'trust_invalid',
      `genesis.json: its ${count} entities, or their order, are not what trust.json signs`,
    )
}
