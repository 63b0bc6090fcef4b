import { compactJwsSchema, installationSchema, parseStrictJson, timestampSchema } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import { z } from 'zod'
import { jcsHash } from './canonical.ts'
import { signGenesisStatement, verifyGenesisStatement } from './genesis-statement.ts'
import { type SigningKey, type VerifyingKey, verifyingKey } from './keys.ts'
import { schemaDetail } from './verified.ts'

const keySchema = z.strictObject({
  jwk: z.strictObject({ kty: z.literal('EC'), crv: z.literal('P-256'), x: z.string(), y: z.string() }),
})

const trustSchema = z
  .strictObject({
    v: z.literal(1),
    installation: installationSchema,
    /** Certifies service keys and the genesis of the registry. Its private half is kept offline. */
    root: keySchema,
    /** C2SP vkey of the log. */
    log: z.strictObject({
      vkey: z.string().regex(/^[^+\s]{1,255}\+[0-9a-f]{8}\+[A-Za-z0-9+/]{43}[A-Za-z0-9+/=]{1,5}$/),
    }),
    /** WebAuthn relying party: a domain that every origin is in. */
    rp_id: z.string().regex(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/),
    origins: z.array(z.string().max(300)).min(1).max(16),
    /** One person's passkey suffices. Every page and report says so. */
    single_operator: z.boolean(),
    /** The root key's word for it, where it is so: whoever can edit this file must not be able to make one person enough. */
    single_operator_jws: compactJwsSchema.optional(),
    /** Makes the first approver, once. */
    invitation: keySchema,
    public_url: z.string().max(300),
    created_at: timestampSchema,
  })
  .refine((t) => isUsable('root', t.root.jwk), { path: ['root', 'jwk'] })
  .refine((t) => isUsable('invitation', t.invitation.jwk), { path: ['invitation', 'jwk'] })
  .refine((t) => t.root.jwk.x !== t.invitation.jwk.x, { path: ['invitation', 'jwk'] })
  .refine((t) => t.origins.every((origin) => isOriginIn(origin, t.rp_id)), { path: ['origins'] })
  .refine((t) => /^https?:$/.test(URL.parse(t.public_url)?.protocol ?? ''), { path: ['public_url'] })

/** trust.json (DESIGN §3): public, given to every process and verifier; all that is believed leads back to it. */
export type Trust = z.infer<typeof trustSchema>

/** Reads trust.json, strictly. Throws `trust_invalid`: without an anchor there is nothing to go on with. */
export function parseTrust(bytes: Uint8Array): Trust {
  let json: unknown
  try {
    json = parseStrictJson(bytes)
  } catch {
    throw new ServiceError('trust_invalid', 'trust.json is not strict JSON')
  }
  const trust = trustSchema.safeParse(json)
  if (!trust.success) throw new ServiceError('trust_invalid', `trust.json: ${schemaDetail(trust.error)}`)
  if (!isOperatedAsSigned(trust.data))
    throw new ServiceError('trust_invalid', 'trust.json: single_operator: the root key did not sign it')
  return trust.data
}

/** The bytes of trust.json. Throws `trust_invalid` for what `parseTrust` would not take back. */
export function encodeTrust(trust: Trust): Uint8Array {
  const bytes = Buffer.from(`${JSON.stringify(trust, undefined, 2)}\n`)
  parseTrust(bytes)
  return bytes
}

/** The anchor's key of this purpose. */
export function anchorKey<P extends 'root' | 'invitation'>(trust: Trust, purpose: P): VerifyingKey<P> {
  const key = verifyingKey<P>(purpose, trust[purpose].jwk)
  if (key === undefined) throw new ServiceError('trust_invalid', `the ${purpose} key is none`)
  return key
}

const singleOperator = {
  entity_type: 'single-operator',
  entity_id: 'single-operator',
  version: 1,
  after: jcsHash(true),
}

/** `single_operator_jws`: what the root key says when an installation is made for one person alone, and at no other time. */
export function signSingleOperator(installation: string, root: SigningKey<'root'>): string {
  return signGenesisStatement({ installation, ...singleOperator }, root)
}

function isOperatedAsSigned(trust: Trust): boolean {
  const { installation, single_operator: isSingle, single_operator_jws: statement } = trust
  if (!isSingle) return true
  if (statement === undefined) return false
  const key = anchorKey(trust, 'root')
  const verified = verifyGenesisStatement({ statement, key, installation })
  return verified.ok && jcsHash(verified.value) === jcsHash({ installation, ...singleOperator })
}

function isUsable(purpose: 'root' | 'invitation', jwk: unknown): boolean {
  return verifyingKey(purpose, jwk) !== undefined
}

function isOriginIn(origin: string, rpId: string): boolean {
  const url = URL.parse(origin)
  if (url === null || url.origin !== origin) return false
  return url.hostname === rpId || url.hostname.endsWith(`.${rpId}`)
}
