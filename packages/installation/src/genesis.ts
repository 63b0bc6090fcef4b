import { type EntityType, entitySchemas, parseStrictJson } from '@bailiwick/contracts'
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
    .max(1024),
})

/**
 * The first registry, each entity with the root key's signature; service keys come first, since they sign the rest. The
 * issuer publishes it once, into an empty registry.
 */
export type Genesis = z.infer<typeof genesisSchema>

/** Reads genesis.json, strictly. Throws `trust_invalid`. */
export function parseGenesis(bytes: Uint8Array): Genesis {
  try {
    return genesisSchema.parse(parseStrictJson(bytes))
  } catch (cause) {
    throw new ServiceError('trust_invalid', 'genesis.json does not match its schema', { cause })
  }
}
