import './buffer.ts'
import { leafHash, openTlogProof, parseVkey } from '@bailiwick/tlog'
import type { Receipt } from '../types.ts'

export type Verdict =
  | { ok: true; index: number; size: number; origin: string; hash: string }
  | { ok: false; why: string }

const reasons: Record<string, string> = {
  proof_malformed: 'it is not a receipt',
  inclusion_unproved: 'the entry is not in the tree that the log signed',
  note_malformed: 'its checkpoint is malformed',
  checkpoint_malformed: 'its checkpoint is malformed',
  origin_unexpected: 'it is the receipt of another log',
  signature_missing: 'the log did not sign its checkpoint',
  signature_invalid: 'the log did not sign its checkpoint',
}

/**
 * Verifies in this browser that the log, known by its key, committed to exactly these bytes, with the same code as
 * `bailiwick verify`. The server of the page also serves this code, so a person who does not trust the server must use
 * their own copy.
 */
export function verifyReceipt(
  { entry, receipt, vkey }: Receipt,
  shown: { eventId: string; leafIndex: number },
): Verdict {
  const log = parseVkey(vkey)
  if (log === undefined) return { ok: false, why: 'the log’s key cannot be read' }
  const hash = leafHash(new TextEncoder().encode(entry))
  const opened = openTlogProof(receipt, hash, { log })
  if (!opened.ok) return { ok: false, why: reasons[opened.reason] ?? opened.reason }
  const hex = Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('')
  const { index, checkpoint } = opened
  // Another event's receipt proves nothing about the one that is shown.
  const { id } = JSON.parse(entry) as { id?: unknown }
  if (id !== shown.eventId || index !== shown.leafIndex) return { ok: false, why: 'it is the receipt of another entry' }
  return { ok: true, index, size: checkpoint.size, origin: log.name, hash: hex }
}
