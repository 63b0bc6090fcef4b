import { installationSchema, sha256Schema, versionSchema } from '@bailiwick/contracts'
import { z } from 'zod'
import { jcsHash } from './canonical.ts'
import { signCompact, verifyCompact } from './jws.ts'
import type { SigningKey, VerifyingKey } from './keys.ts'
import { refused, type Verified } from './verified.ts'

const genesisSchema = z.strictObject({
  installation: installationSchema,
  entity_type: z.string().regex(/^[a-z]+(-[a-z]+)*$/),
  entity_id: z.string().min(1).max(2100),
  version: versionSchema,
  after: sha256Schema,
})

/** The most entities that a genesis can have. */
export const longestGenesis = 1024

/** The root key's statement about an entity of the first registry: which entity, version and content (JCS hash). */
export type GenesisStatement = z.infer<typeof genesisSchema>

/** Throws `invariant_broken` if the statement does not match its schema. */
export function signGenesisStatement(statement: GenesisStatement, root: SigningKey<'root'>): string {
  return signCompact('genesis', genesisSchema, statement, root)
}

/** Verifies a genesis statement by the root key. The caller must compare every member with the actual entity. */
export function verifyGenesisStatement(options: {
  statement: string
  key: VerifyingKey<'root'>
  installation: string
}): Verified<GenesisStatement> {
  const verified = verifyCompact('genesis', genesisSchema, options.statement, options.key)
  if (verified.ok && verified.value.installation !== options.installation)
    return refused('token_audience_wrong', 'genesis: another installation')
  return verified
}

/** The commitment in trust.json to the genesis as a whole. */
export const genesisCommitmentSchema = z.strictObject({
  count: z.int().min(1).max(longestGenesis),
  /** SHA-256 of the JCS of all genesis statements, in the order in which the issuer publishes their entities. */
  sha256: sha256Schema,
})
export type GenesisCommitment = z.infer<typeof genesisCommitmentSchema>

/**
 * Commits to a genesis: which entities, each exactly once, in this order. Each statement is signed separately, so without this commitment
 * an omitted statement would go unnoticed.
 */
export function genesisCommitment(statements: readonly GenesisStatement[]): GenesisCommitment {
  return { count: statements.length, sha256: jcsHash(statements) }
}
