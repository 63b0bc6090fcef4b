import { compactJwsSchema, installationSchema, parseStrictJson, timestampSchema } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import { z } from 'zod'
import { jcsHash } from './canonical.ts'
import { genesisCommitmentSchema, signGenesisStatement, verifyGenesisStatement } from './genesis-statement.ts'
import { type SigningKey, type VerifyingKey, verifyingKey } from './keys.ts'
import { parseUrl } from './parse-url.ts'
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
    /** WebAuthn relying party: a domain that contains every origin. */
    rp_id: z.string().regex(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/),
    origins: z.array(z.string().max(300)).min(1).max(16),
    /** One person's passkey suffices. Every page and report says so. */
    single_operator: z.boolean(),
    /**
     * Present in an installation of `bailiwick dev`: a program answers requests, not a person. Every page and report says so. It cannot be
     * removed, because the root key signed it and was never written to a file.
     */
    software_approver: z.literal(true).optional(),
    /** Enrols the first approver, once. */
    invitation: keySchema,
    public_url: z.string().max(300),
    created_at: timestampSchema,
    /**
     * Commits to the whole first registry. Absent in an installation older than this member (decision 42): then it is unknown whether a
     * rule was left out before the first start. It cannot be removed: the root key signs which members are present.
     */
    genesis: genesisCommitmentSchema.optional(),
    /**
     * The root key's signature over everything else: a person who can edit this file must not be able to make one person enough, or to
     * admit another page.
     */
    jws: compactJwsSchema,
  })
  .refine((t) => isUsable('root', t.root.jwk), { path: ['root', 'jwk'] })
  .refine((t) => isUsable('invitation', t.invitation.jwk), { path: ['invitation', 'jwk'] })
  .refine((t) => t.root.jwk.x !== t.invitation.jwk.x, { path: ['invitation', 'jwk'] })
  .refine((t) => t.origins.every((origin) => isOriginIn(origin, t.rp_id)), { path: ['origins'] })
  .refine((t) => /^https?:$/.test(parseUrl(t.public_url)?.protocol ?? ''), { path: ['public_url'] })

/** trust.json (DESIGN §3): public, given to every process and verifier; everything believed traces back to it. */
export type Trust = z.infer<typeof trustSchema>

/** Parses trust.json strictly. Throws `trust_invalid`: without an anchor nothing can continue. */
export function parseTrust(bytes: Uint8Array): Trust {
  let json: unknown
  try {
    json = parseStrictJson(bytes)
  } catch {
    throw new ServiceError('trust_invalid', 'trust.json is not strict JSON')
  }
  const trust = trustSchema.safeParse(json)
  if (!trust.success) throw new ServiceError('trust_invalid', `trust.json: ${schemaDetail(trust.error)}`)
  if (!isSigned(trust.data)) throw new ServiceError('trust_invalid', 'trust.json: the root key did not sign it')
  return trust.data
}

/** The bytes of trust.json. Throws `trust_invalid` for an anchor that `parseTrust` would refuse. */
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

/** The statement that the root key signs once, when an installation is made: every member except its signature, by their JCS hash. */
const statementOf = (trust: Omit<Trust, 'jws'>) => ({
  installation: trust.installation,
  entity_type: 'trust-anchor',
  entity_id: 'trust.json',
  version: 1,
  after: jcsHash(trust),
})

/** Adds the root key's signature to the anchor of an installation. */
export function signTrust(trust: Omit<Trust, 'jws'>, root: SigningKey<'root'>): Trust {
  return { ...trust, jws: signGenesisStatement(statementOf(trust), root) }
}

function isSigned({ jws: statement, ...trust }: Trust): boolean {
  const key = verifyingKey<'root'>('root', trust.root.jwk)
  const verified = key && verifyGenesisStatement({ statement, key, installation: trust.installation })
  return verified?.ok === true && jcsHash(verified.value) === jcsHash(statementOf(trust))
}

function isUsable(purpose: 'root' | 'invitation', jwk: unknown): boolean {
  return verifyingKey(purpose, jwk) !== undefined
}

function isOriginIn(origin: string, rpId: string): boolean {
  const url = parseUrl(origin)
  if (url === null || url.origin !== origin) return false
  return url.hostname === rpId || url.hostname.endsWith(`.${rpId}`)
}
