import { z } from 'zod'

/** base64url of a SHA-256, without padding: 43 characters, of which the last carries 4 bits. */
export const sha256Schema = z
  .string()
  .regex(/^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/, 'not a base64url SHA-256')
  .describe('base64url SHA-256')

/** A JWK thumbprint (RFC 7638), the name of a key everywhere. */
export const thumbprintSchema = sha256Schema.describe('JWK thumbprint (RFC 7638)')

/** base64url without padding. */
export const base64urlSchema = z
  .string()
  .regex(/^[A-Za-z0-9_-]+$/, 'not base64url')
  .describe('base64url')

/** A JWS in compact serialization (RFC 7515 §3.1), not yet verified. */
export const compactJwsSchema = z
  .string()
  .max(32_768)
  .regex(/^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/, 'not a compact JWS')
  .describe('compact JWS')

/**
 * RFC 3339 in UTC with milliseconds, so that one instant has one spelling. A date that does not exist is refused: `Date.parse` gives NaN
 * for a thirteenth month, and a comparison with NaN never says that something has expired.
 */
export const timestampSchema = z.iso.datetime({ precision: 3, error: 'not RFC 3339 UTC with ms' }).describe('time, UTC')

/** A SPIFFE ID (SPIFFE-ID §2): trust domain in lower case, no query, no fragment, no empty, `.` or `..` segment. */
export const spiffeIdSchema = z
  .string()
  .max(2048)
  .regex(/^spiffe:\/\/[a-z0-9._-]{1,255}(\/(?!\.{1,2}(\/|$))[A-Za-z0-9._-]+)+$/, 'not a SPIFFE ID')
  .describe('SPIFFE ID')

/** The agent of an instance; an instance is a path below its agent: `<agent id>/<instance>`. */
export const agentIdOf = (instance: string): string => instance.slice(0, instance.lastIndexOf('/'))

/** A name in the registry, as people write it: no white space, nothing invisible. */
export const nameSchema = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,254}$/, 'not a registry name')
  .describe('registry name')

/** The name of one start of an enforcement point's process: 16 random bytes, with one valid spelling. */
export const pointInstanceSchema = z
  .string()
  .regex(/^[A-Za-z0-9_-]{21}[AQgw]$/, 'not an instance of an enforcement point')
  .describe('instance of an enforcement point')

// Invisible characters, and those that reorder others: a name that contains one looks like another name.
const unseen = /[\p{C}\p{Default_Ignorable_Code_Point}]/u

/** Text for people: one line, no control characters, no invisible characters. */
export const lineSchema = z
  .string()
  .min(1)
  .max(200)
  .regex(/^[^\p{Cc}\p{Cs}\u2028\u2029]+$/u, 'not one line of text')
  .refine((text) => !unseen.test(text), 'not a line of text that can be seen')
  .describe('one line of text')

export const installationSchema = z
  .string()
  .regex(/^ins_[0-9A-Za-z]{10,40}$/, 'not an installation id')
  .describe('installation id')

/** Our own ids: a prefix, then 20 to 64 characters that need no escaping anywhere. */
export const idSchema = <P extends string>(prefix: P) =>
  z
    .string()
    .regex(new RegExp(`^${prefix}_[0-9A-Za-z_-]{20,64}$`), `not a ${prefix}_ id`)
    .describe(`${prefix}_ id`)

export const requestIdSchema = idSchema('req')
export const grantIdSchema = idSchema('grt')
export const delegationIdSchema = idSchema('dlg')
export const credentialIdSchema = idSchema('crd')
export const decisionIdSchema = idSchema('dec')

/** The caller chooses the call id, so that it can repeat a call whose answer was lost. */
export const callIdSchema = z
  .string()
  .regex(/^[0-9A-Za-z_-]{16,64}$/, 'not a call id')
  .describe('call id')

/** Represents a text that is not in the event: SHA-256 of the 16-byte salt followed by the text in UTF-8. */
export const saltedHashSchema = z.strictObject({ salted_sha256: sha256Schema }).meta({ id: 'salted-hash' })

/** A public key: EC P-256 or Ed25519. Private members are refused. */
export const publicJwkSchema = z
  .union([
    z.strictObject({
      kty: z.literal('EC'),
      crv: z.literal('P-256'),
      x: base64urlSchema,
      y: base64urlSchema,
      kid: z.string().optional(),
      alg: z.literal('ES256').optional(),
      use: z.literal('sig').optional(),
    }),
    z.strictObject({
      kty: z.literal('OKP'),
      crv: z.literal('Ed25519'),
      x: base64urlSchema,
      kid: z.string().optional(),
      alg: z.enum(['EdDSA', 'Ed25519']).optional(),
      use: z.literal('sig').optional(),
    }),
  ])
  .meta({ id: 'public-jwk' })
export type PublicJwk = z.infer<typeof publicJwkSchema>

/** A version or a count: a CloudEvents Integer, hence 32 bits. */
export const versionSchema = z
  .int()
  .min(1)
  .max(2 ** 31 - 1)
  .describe('version')

/** A decimal amount as text, exact. */
export const decimalSchema = z.string().regex(/^(0|[1-9]\d{0,20})(\.\d{1,6})?$/, 'not a decimal amount')
/** ISO 4217. */
export const currencySchema = z.string().regex(/^[A-Z]{3}$/)

/**
 * The limits that keep a grant of mode continuous open: the workload must attest at least this often, and outcomes must arrive within this
 * time.
 */
export const continuousSchema = z
  .strictObject({
    reattest_seconds: z
      .int()
      .min(1)
      .max(8 * 3600),
    outcome_seconds: z.int().min(1).max(3600),
  })
  .meta({ id: 'continuous' })
export type Continuous = z.infer<typeof continuousSchema>

export const modeSchema = z.enum(['per_action', 'window', 'continuous'])
export type Mode = z.infer<typeof modeSchema>

/**
 * An authority in transit (DESIGN §7.1). The `authority` package judges its members strictly. Here it must only be one, so that an unknown
 * member is refused with `authority_not_understood` rather than as a malformed event.
 */
export const authoritySchema = z
  .looseObject({ type: z.literal('bailiwick_task'), task: z.string().min(1).max(200) })
  .meta({ id: 'authority' })
