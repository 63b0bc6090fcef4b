import { parseCheckpoint } from './checkpoint-text.ts'
import { SIGNATURE_TYPE, type SignerKey, type VerifierKey, verifyRaw } from './keys.ts'
import type { NoteSignature } from './note.ts'

/** A `timestamped_signature` (C2SP tlog-cosignature): when the witness signed, in POSIX seconds, and its signature. */
export interface Cosignature {
  readonly timestamp: number
  readonly signature: Uint8Array
}

const TIMESTAMP_BYTES = 8
const ED25519_SIGNATURE_BYTES = 64

/** The bytes that a witness signs: `cosignature/v1`, the time, and the checkpoint's text with its final newline. */
export function cosignedMessage(checkpointText: string, timestamp: number): Uint8Array {
  return Buffer.from(`cosignature/v1\ntime ${timestamp}\n${checkpointText}`)
}

/**
 * Cosigns the text of a checkpoint at `timestamp` (POSIX seconds), for `addSignatures`. The cosigner thereby states that it has seen
 * no larger consistent tree of this log. It must first have verified consistency with its last tree, and stored that durably.
 * Throws RangeError for a text that is not a checkpoint, a key of another type, or an invalid time.
 */
export function cosign(checkpointText: string, key: SignerKey, timestamp: number): NoteSignature {
  const { name, keyId, type } = key.verifier
  if (type !== SIGNATURE_TYPE.COSIGNATURE) throw new RangeError('this key does not cosign')
  if (!Number.isSafeInteger(timestamp) || timestamp < 0) throw new RangeError('not a POSIX timestamp')
  if (parseCheckpoint(checkpointText) === undefined) throw new RangeError('only a checkpoint is cosigned')
  const signature = Buffer.alloc(TIMESTAMP_BYTES + ED25519_SIGNATURE_BYTES)
  signature.writeBigUInt64BE(BigInt(timestamp))
  signature.set(key.signRaw(cosignedMessage(checkpointText, timestamp)), TIMESTAMP_BYTES)
  return { name, keyId, signature }
}

/**
 * Parses a `timestamped_signature`; undefined if it is not one. A time beyond 2^53 - 1 is refused as well: it
 * lies in the future, which a verifier may reject.
 */
export function decodeCosignature(bytes: Uint8Array): Cosignature | undefined {
  if (bytes.length !== TIMESTAMP_BYTES + ED25519_SIGNATURE_BYTES) return undefined
  const timestamp = Number(Buffer.from(bytes).readBigUInt64BE(0))
  return Number.isSafeInteger(timestamp) ? { timestamp, signature: bytes.subarray(TIMESTAMP_BYTES) } : undefined
}

/** Whether this key cosigned this checkpoint at the time stated in the cosignature. Never throws. */
export function isCosignedBy(checkpointText: string, cosignature: Cosignature, key: VerifierKey): boolean {
  return (
    key.type === SIGNATURE_TYPE.COSIGNATURE &&
    parseCheckpoint(checkpointText) !== undefined &&
    verifyRaw(key, cosignedMessage(checkpointText, cosignature.timestamp), cosignature.signature)
  )
}
