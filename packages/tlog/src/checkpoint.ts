import { type Checkpoint, encodeCheckpoint, parseCheckpoint } from './checkpoint-text.ts'
import { SIGNATURE_TYPE, type SignerKey, type VerifierKey } from './keys.ts'
import { signNote } from './note.ts'
import { type NoteRefusal, type NoteSigner, openNote } from './open-note.ts'

export { type Checkpoint, encodeCheckpoint, parseCheckpoint } from './checkpoint-text.ts'

export type CheckpointRefusal = NoteRefusal | 'checkpoint_malformed' | 'origin_unexpected'

export type OpenedCheckpoint =
  | {
      readonly ok: true
      readonly checkpoint: Checkpoint
      /** Known witnesses whose cosignatures verified, with their times. The caller's policy decides whether they are enough. */
      readonly witnesses: readonly NoteSigner[]
    }
  | { readonly ok: false; readonly reason: CheckpointRefusal }

/** What a verifier trusts: one log by its key, and the witnesses that count. */
export interface LogTrust {
  readonly log: VerifierKey
  /** The checkpoint's first line. Default: the name of the log's key. */
  readonly origin?: string
  readonly witnesses?: readonly VerifierKey[]
}

/**
 * Signs a checkpoint as its log. The log must never sign two that are inconsistent, so the caller must have made the tree durable
 * and must hold the log's lock. Throws RangeError for text that is not a checkpoint, or for a key of another type.
 */
export function signCheckpoint(checkpoint: Checkpoint, key: SignerKey): string {
  return signNote(encodeCheckpoint(checkpoint), key)
}

/**
 * Verifies a checkpoint: the log's own key signed it, every signature by a known key holds, and it belongs to this log. A
 * checkpoint that only witnesses signed is refused. Says nothing about consistency with others. Never throws.
 */
export function openCheckpoint(note: string | Uint8Array, { log, origin, witnesses = [] }: LogTrust): OpenedCheckpoint {
  const opened = openNote(note, [log, ...witnesses])
  if (!opened.ok) return opened
  const byLog = opened.signers.some(({ key }) => key === log && key.type === SIGNATURE_TYPE.ED25519)
  if (!byLog) return { ok: false, reason: 'signature_missing' }
  const checkpoint = parseCheckpoint(opened.text)
  if (checkpoint === undefined) return { ok: false, reason: 'checkpoint_malformed' }
  if (checkpoint.origin !== (origin ?? log.name)) return { ok: false, reason: 'origin_unexpected' }
  const cosigners = opened.signers.filter(({ key }) => key !== log && key.type === SIGNATURE_TYPE.COSIGNATURE)
  return { ok: true, checkpoint, witnesses: cosigners }
}
