import { createHash } from 'node:crypto'
import {
  delegationIdSchema,
  grantIdSchema,
  installationSchema,
  parseStrictJson,
  sha256Schema,
  spiffeIdSchema,
  thumbprintSchema,
} from '@bailiwick/contracts'
import { z } from 'zod'
import { parseCompact, signUnder, verifyCompact } from './jws.ts'
import { type SigningKey, verifyingKey } from './keys.ts'
import { kinds } from './kinds.ts'
import { jtiSchema, livesAtMost, numericDateSchema } from './lifetime.ts'
import { refused, type Verified } from './verified.ts'

/** No grant lives longer, so neither does anything passed on from one. */
const longestLifeSeconds = 8 * 3600

const delegationSchema = z
  .strictObject({
    /** The delegator: the instance whose credential confirms the key in the header. */
    iss: spiffeIdSchema,
    /** The recipient: the instance that may redeem it, with the key of `cnf`. */
    sub: spiffeIdSchema,
    aud: installationSchema,
    iat: numericDateSchema,
    exp: numericDateSchema,
    jti: jtiSchema,
    cnf: z.strictObject({ jkt: thumbprintSchema }),
    grant: grantIdSchema,
    /** The grant's value: which revocations the humans knew of. */
    as_of: z.int().min(0),
    /** `delegationHash` of the parent delegation; for the first link, the hash of the approval statement. */
    parent_hash: sha256Schema,
    /** One object; the `authority` package judges its members. */
    authorization_details: z.tuple([z.record(z.string(), z.unknown())]),
    /** The APIs that credentials under it may be used for (RFC 8707). If absent, those of the parent. */
    resources: z.array(z.string().min(1).max(2048)).min(1).max(8).optional(),
  })
  .refine(livesAtMost(longestLifeSeconds), { path: ['exp'] })

/** The part of its authority that an agent passes on (DESIGN §7.3). */
export type Delegation = z.infer<typeof delegationSchema>

/** Throws `invariant_broken` if the claims do not match their schema, including a life over 8 h. */
export function signDelegation(delegation: Delegation, key: SigningKey<'agent'>): string {
  const header = { alg: key.alg, typ: kinds.delegation.typ, jwk: key.publicJwk }
  return signUnder('delegation', header, delegationSchema, delegation, key)
}

/**
 * Verifies one link: that `delegator` made it, with the key that its own credential confirms (V6), under this grant. The key is in the
 * header, so that anyone can verify a chain for ever from the log alone; it counts only if its thumbprint is `delegator.jkt`. Does not
 * check time, narrowing or earlier links of the chain.
 */
export function verifyDelegation(options: {
  delegation: string
  delegator: { agent: string; jkt: string }
  grant: string
  installation: string
}): Verified<Delegation> {
  const { delegation, delegator, grant, installation } = options
  const key = verifyingKey('agent', parseCompact(delegation)?.header.jwk)
  if (key === undefined) return refused('token_malformed', 'delegation: jwk')
  if (key.kid !== delegator.jkt) return refused('key_unknown', 'delegation: not the key that its maker has')
  const verified = verifyCompact('delegation', delegationSchema, delegation, key, { embeddedKey: true })
  if (!verified.ok) return verified
  const { iss, aud, grant: named } = verified.value
  if (iss !== delegator.agent) return refused('key_unknown', 'delegation: the key of another instance')
  if (aud !== installation) return refused('token_audience_wrong', 'delegation: another installation')
  return named === grant ? verified : refused('token_audience_wrong', 'delegation: another grant')
}

/**
 * Identifies a delegation: SHA-256 of the signed bytes. It leaves out the signature, because anyone can write that in a second form (ECDSA
 * accepts both s and n - s): a revoked delegation would live on under another name. undefined unless it is a compact JWS.
 */
export function delegationHash(delegation: string): string | undefined {
  const parsed = parseCompact(delegation)
  return parsed && createHash('sha256').update(parsed.signed).digest('base64url')
}

/** `dlg_…`, as used in revocations and events. */
export function delegationId(delegation: string): string | undefined {
  return delegationIdSchema.safeParse(`dlg_${delegationHash(delegation)}`).data
}

const placeSchema = z.object({ grant: grantIdSchema, parent_hash: sha256Schema })

/** The grant and the parent that a delegation claims: only good for finding the chain with which to verify it. */
export function claimedPlace(delegation: string): { grant: string; parentHash: string } | undefined {
  try {
    const { grant, parent_hash } = placeSchema.parse(parseStrictJson(parseCompact(delegation)?.payload ?? ''))
    return { grant, parentHash: parent_hash }
  } catch {
    return undefined
  }
}
