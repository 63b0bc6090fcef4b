import { parseStrictJson } from '@bailiwick/contracts'
import { encodeTrust, parseTrust, type SaltedText, type Trust } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { z } from 'zod'

/** One entry of the log, and the hashes that prove its place in the tree of the bundle's checkpoint (RFC 6962 §2.1.1). */
export interface ProvedLeaf {
  readonly index: number
  readonly proof: readonly Uint8Array[]
  /** The entry's exact bytes: an event in UTF-8. */
  readonly bytes: Uint8Array
}

/**
 * All that one action rests on, to be verified by somebody who has the log's key and nothing else of it. Nothing in it is
 * believed: leaves are proved by the checkpoint, and that by the log's and the witnesses' keys.
 */
export interface Bundle {
  /** The id that was asked about. */
  readonly about: string
  /** The anchor that signatures lead back to, as whoever made the bundle says it is. */
  readonly trust: Trust
  /** A signed note, with the cosignatures that there are. */
  readonly checkpoint: string
  readonly leaves: readonly ProvedLeaf[]
  /** Revealed: each is the value of a salted hash in one of the leaves. All others are withheld. */
  readonly values: readonly SaltedText[]
}

const KIND = 'bailiwick-bundle'
const base64 = z.base64().transform((text) => Buffer.from(text, 'base64'))
const schema = z.strictObject({
  v: z.literal(1),
  kind: z.literal(KIND),
  about: z.string().min(1).max(2100),
  trust: z.unknown(),
  checkpoint: z.string().max(65_536),
  leaves: z
    .array(z.strictObject({ index: z.int().min(0), proof: z.array(base64).max(63), event: z.string().max(65_535) }))
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

/** Takes a bundle apart, strictly. Throws `request_malformed` for what is none. */
export function parseBundle(file: Uint8Array): Bundle {
  try {
    const { about, trust, checkpoint, leaves, values } = schema.parse(parseStrictJson(file))
    return {
      about,
      trust: parseTrust(Buffer.from(JSON.stringify(trust))),
      checkpoint,
      leaves: leaves.map(({ index, proof, event }) => ({ index, proof, bytes: Buffer.from(event) })),
      values,
    }
  } catch (cause) {
    throw new ServiceError('request_malformed', 'not a bundle', { cause })
  }
}
