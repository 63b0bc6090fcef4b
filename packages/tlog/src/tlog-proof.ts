import { type Checkpoint, type CheckpointRefusal, type LogTrust, openCheckpoint } from './checkpoint.ts'
import { parseNote } from './note.ts'
import type { NoteSigner } from './open-note.ts'
import { decodeBase64, decodeDecimal, decodeUtf8, encodeBase64 } from './text.ts'
import { isHash } from './tree.ts'
import { verifyInclusion } from './verify-proofs.ts'

/** A parsed receipt (C2SP tlog-proof). Nothing in it is verified; use `openTlogProof` for that. */
export interface TlogProof {
  readonly index: number
  /** Leaf's sibling first. */
  readonly proof: readonly Uint8Array[]
  /** The signed note of the checkpoint, verbatim. */
  readonly checkpoint: string
  /** Opaque and not authenticated: never trust it. */
  readonly extra?: Uint8Array
}

export type OpenedTlogProof =
  | {
      readonly ok: true
      readonly index: number
      readonly checkpoint: Checkpoint
      readonly witnesses: readonly NoteSigner[]
    }
  | { readonly ok: false; readonly reason: CheckpointRefusal | 'proof_malformed' | 'inclusion_unproved' }

const HEADER = 'c2sp.org/tlog-proof@v1'
const EXTRA = 'extra '
const INDEX = 'index '

/** The text of a `.tlog-proof` file. Empty extra data is left out. Throws RangeError if the result would not parse. */
export function encodeTlogProof({ index, proof, checkpoint, extra }: TlogProof): string {
  const extraLines = extra === undefined || extra.length === 0 ? [] : [EXTRA + encodeBase64(extra)]
  const text = [HEADER, ...extraLines, INDEX + index, ...proof.map(encodeBase64), '', checkpoint].join('\n')
  if (parseTlogProof(text) === undefined) throw new RangeError('not a proof')
  return text
}

/** Parses a receipt strictly; undefined if it is malformed. Bytes must be UTF-8, because the note in it must be (C2SP signed-note). */
export function parseTlogProof(receipt: string | Uint8Array): TlogProof | undefined {
  const text = typeof receipt === 'string' ? receipt : decodeUtf8(receipt)
  if (text === undefined) return undefined
  // The first empty line ends the proof. The checkpoint after it contains another empty line.
  const separator = text.indexOf('\n\n')
  if (separator < 0) return undefined
  const [header, ...lines] = text.slice(0, separator).split('\n')
  const extraLine = lines[0]?.startsWith(EXTRA) ? lines.shift() : undefined
  const extra = decodeBase64(extraLine?.slice(EXTRA.length) ?? '')
  const indexLine = lines.shift()
  const index = indexLine?.startsWith(INDEX) ? decodeDecimal(indexLine.slice(INDEX.length)) : undefined
  const proof = lines.map(decodeBase64).filter(isHash)
  const checkpoint = text.slice(separator + 2)
  if (header !== HEADER || extra === undefined || (extraLine !== undefined && extra.length === 0)) return undefined
  if (index === undefined || proof.length !== lines.length || parseNote(checkpoint) === undefined) return undefined
  return { index, proof, checkpoint, ...(extraLine === undefined ? {} : { extra }) }
}

/**
 * Verifies a receipt offline: the log signed the checkpoint, and the checkpoint's tree holds the leaf with this hash
 * (`leafHash` of the entry's exact bytes) at the receipt's index. Never throws.
 */
export function openTlogProof(receipt: string | Uint8Array, leafHash: Uint8Array, trust: LogTrust): OpenedTlogProof {
  const parsed = parseTlogProof(receipt)
  if (parsed === undefined) return { ok: false, reason: 'proof_malformed' }
  const opened = openCheckpoint(parsed.checkpoint, trust)
  if (!opened.ok) return opened
  const { index, proof } = parsed
  if (!verifyInclusion({ leafHash, index, proof }, opened.checkpoint))
    return { ok: false, reason: 'inclusion_unproved' }
  return { ok: true, index, checkpoint: opened.checkpoint, witnesses: opened.witnesses }
}
