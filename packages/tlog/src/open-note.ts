import { decodeCosignature, isCosignedBy } from './cosignature.ts'
import { SIGNATURE_TYPE, type VerifierKey, verifyRaw } from './keys.ts'
import { parseNote } from './note.ts'

export type NoteRefusal = 'note_malformed' | 'signature_missing' | 'signature_invalid'

/** A known key whose signature verified. `timestamp` (POSIX seconds) is set for a cosignature. */
export interface NoteSigner {
  readonly key: VerifierKey
  readonly timestamp?: number
}

export type OpenedNote =
  | { readonly ok: true; readonly text: string; readonly signers: readonly NoteSigner[] }
  | { readonly ok: false; readonly reason: NoteRefusal }

/**
 * Verifies a note against the keys that the caller trusts (C2SP signed-note, Signatures). Signatures by other keys are
 * ignored, even if they share a name or an id with a known key. A failed signature of a known key rejects the whole note.
 * At least one signature must verify. Never throws.
 */
export function openNote(note: string | Uint8Array, keys: readonly VerifierKey[]): OpenedNote {
  const parsed = parseNote(note)
  if (parsed === undefined) return { ok: false, reason: 'note_malformed' }
  const signers: NoteSigner[] = []
  for (const line of parsed.signatures) {
    for (const key of keys.filter(({ name, keyId }) => name === line.name && keyId === line.keyId)) {
      const signer = verifiedSigner(parsed.text, line.signature, key)
      if (signer === undefined) return { ok: false, reason: 'signature_invalid' }
      if (!signers.some((known) => known.key === key)) signers.push(signer)
    }
  }
  return signers.length > 0 ? { ok: true, text: parsed.text, signers } : { ok: false, reason: 'signature_missing' }
}

function verifiedSigner(text: string, signature: Uint8Array, key: VerifierKey): NoteSigner | undefined {
  if (key.type === SIGNATURE_TYPE.ED25519) return verifyRaw(key, Buffer.from(text), signature) ? { key } : undefined
  const cosignature = decodeCosignature(signature)
  if (cosignature === undefined || !isCosignedBy(text, cosignature, key)) return undefined
  return { key, timestamp: cosignature.timestamp }
}
