import { parseStrictJson } from '@bailiwick/contracts'
import { encodeTrust, parseTrust, type SaltedText, type Trust } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { decodeBase64, HASH_BYTES } from '@bailiwick/tlog'
import { z } from 'zod'

/** One entry of the log, and the hashes that prove its place in the tree of the bundle's checkpoint (RFC 6962 §2.1.1). */
export interface ProvedLeaf {
  readonly index: number
  readonly proof: readonly Uint8Array[]
  /** The entry's exact bytes: an event in UTF-8. */
  readonly bytes: Uint8Array
}

/**
 * All entries that one action rests on, for a verifier who has only the log's key. The verifier trusts nothing in the bundle: the
 * checkpoint proves the leaves, and the keys of the log and of the witnesses prove the checkpoint.
 */
export interface Bundle {
  /** The id that the bundle was requested for. */
  readonly about: string
  /** The anchor that signatures lead back to, according to the maker of the bundle. */
  readonly trust: Trust
  /** A signed note, with its cosignatures. */
  readonly checkpoint: string
  readonly leaves: readonly ProvedLeaf[]
  /** The revealed values. Each belongs to a salted hash in one of the leaves. All others are withheld. */
  readonly values: readonly SaltedText[]
}

const KIND = 'bailiwick-bundle'
/** Only the canonical spelling is accepted: otherwise bits that decoders ignore could be changed unnoticed. */
const hash = z.string().transform((text, context) => {
  const bytes = decodeBase64(text)
  if (bytes?.length === HASH_BYTES) return bytes
  context.addIssue({ code: 'custom', message: `not the canonical base64 of ${HASH_BYTES} bytes` })
  return z.NEVER
})
const schema = z.strictObject({
  v: z.literal(1),
  kind: z.literal(KIND),
  about: z.string().min(1).max(2100),
  trust: z.unknown(),
  checkpoint: z.string().max(65_536),
  leaves: z
    .array(z.strictObject({ index: z.int().min(0), proof: z.array(hash).max(63), event: z.string().max(65_535) }))
    .max(10_000),
  values: z
    .array(z.strictObject({ salt: z.string().length(22), text: z.string().max(20_000) }))
    .max(10_000)
    .default([]),
})

export function encodeBundle({ about, trust, checkpoint, leaves, values }: Bundle): string {
  return JSON.stringify({
    v: 1,
    kind: KIND,
    about,
    trust: JSON.parse(Buffer.from(encodeTrust(trust)).toString('utf8')),
    checkpoint,
    leaves: leaves.map(({ index, proof, bytes }) => ({
      index,
      proof: proof.map((hash) => Buffer.from(hash).toString('base64')),
      event: Buffer.from(bytes).toString('utf8'),
    })),
    ...(values.length > 0 ? { values } : {}),
  })
}

/**
 * Parses a bundle strictly: unknown members and non-canonical hashes are refused. Throws `request_malformed`, or `trust_invalid` for its
 * `trust`. The detail says where in the file the fault is, and which entry of the log it belongs to.
 */
export function parseBundle(file: Uint8Array): Bundle {
  const json = jsonOf(file)
  const parsed = schema.safeParse(json)
  if (!parsed.success) throw new ServiceError('request_malformed', faultIn(parsed.error, json), { cause: parsed.error })
  const { about, trust, checkpoint, leaves, values } = parsed.data
  return {
    about,
    checkpoint,
    values,
    trust: parseTrust(Buffer.from(JSON.stringify(trust))),
    leaves: leaves.map(({ index, proof, event }) => ({ index, proof, bytes: Buffer.from(event) })),
  }
}

function jsonOf(file: Uint8Array): unknown {
  try {
    return parseStrictJson(file)
  } catch (cause) {
    throw new ServiceError('request_malformed', cause instanceof Error ? cause.message : undefined, { cause })
  }
}

/** `leaves[3].proof[0] (entry 18): not the canonical base64 of 32 bytes` */
function faultIn({ issues: [issue] }: z.ZodError, json: unknown): string {
  const path = issue?.path ?? []
  const where = path.map((step) => (typeof step === 'number' ? `[${step}]` : `.${String(step)}`)).join('')
  const entry: unknown = path[0] === 'leaves' ? Object(json).leaves?.[path[1] ?? '']?.index : undefined
  const of = Number.isSafeInteger(entry) ? ` (entry ${entry})` : ''
  return `${where.slice(1) || 'the file'}${of}: ${issue?.message}`
}
