import { z } from 'zod'
import { sha256Schema, timestampSchema, versionSchema } from './primitives.ts'

export const maxEventBytes = 65_535

/** Zero-padded, so that it orders as text (CloudEvents `sequence` extension). */
export const sequenceSchema = z
  .string()
  .regex(/^\d{16}$/, 'not 16 digits')
  .describe('16 digits')

/**
 * The hash of this producer's previous event: base64url SHA-256 of all its bytes. The first event of a producer names its predecessor's
 * last known event instead: `<source>#<sequence>:<hash>`, or `none`.
 */
export const previousSchema = z.union([
  sha256Schema,
  z.literal('none'),
  z
    .string()
    .regex(/^\/[a-z-]+\/[0-9A-Za-z_-]+#\d{16}:[A-Za-z0-9_-]{43}$/, 'not a predecessor')
    .describe('predecessor'),
])

/** A CloudEvents String (§ Type System): no control characters, no noncharacters; strict JSON refuses lone surrogates. */
const attributeSchema = z
  .string()
  .min(1)
  .max(2100)
  .regex(/^[^\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}]+$/u, 'not a CloudEvents String')
  .describe('CloudEvents String')

/** The characters of a URI reference (RFC 3986 §2, §4.1). */
const uriReference = /^[A-Za-z0-9._~:/?#[\]@!$&'()*+,;=%-]+$/

/**
 * CloudEvents 1.0, structured mode, with our extensions (DESIGN §4). Unknown members are ignored. `version`, `sequence`, `previous` and
 * `jws` are absent on an agent's event; `sequence` and `previous` are absent on topics whose events are not leaves.
 */
export const envelopeSchema = z.object({
  specversion: z.literal('1.0'),
  id: z.string().regex(/^[0-9A-Za-z_-]{8,128}$/, 'not an event id'),
  source: z.string().max(2100).regex(uriReference, 'not a URI reference').describe('URI reference'),
  type: attributeSchema.max(100),
  time: timestampSchema,
  subject: attributeSchema,
  datacontenttype: z.literal('application/json'),
  dataschema: z
    .string()
    .max(200)
    .regex(/^[a-z][a-z0-9+.-]*:[A-Za-z0-9._~:/?#[\]@!$&'()*+,;=%-]+$/, 'not a URI')
    .describe('URI'),
  traceparent: z
    .string()
    .regex(/^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/, 'not a W3C traceparent')
    .describe('traceparent of W3C Trace Context')
    .optional(),
  partitionkey: attributeSchema,
  version: versionSchema.optional(),
  sequence: sequenceSchema.optional(),
  previous: previousSchema.optional(),
  data: z.unknown(),
  jws: z.string().max(1024).optional(),
})
export type Envelope = z.infer<typeof envelopeSchema>

/**
 * The bytes of an event without its `jws`. They are signed, and (with `jws`) stored, hashed and published unchanged. Members are written in
 * this order, and absent members are left out. The signer appends `jws` after all of them, over exactly these bytes.
 */
export function encodeEnvelope(envelope: Omit<Envelope, 'jws'>): Uint8Array {
  const { specversion, id, source, type, time, subject, datacontenttype, dataschema } = envelope
  const { traceparent, partitionkey, version, sequence, previous, data } = envelope
  const head = { specversion, id, source, type, time, subject, datacontenttype, dataschema }
  return new TextEncoder().encode(
    JSON.stringify({ ...head, traceparent, partitionkey, version, sequence, previous, data }),
  )
}

export function formatSequence(sequence: number): string {
  return String(sequence).padStart(16, '0')
}
