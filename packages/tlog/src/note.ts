import { isKeyName, SIGNATURE_TYPE, type SignerKey } from './keys.ts'
import { decodeBase64, decodeUtf8, encodeBase64, hasControlCharacter } from './text.ts'

/** One signature line: the claimed signer, and the signature without the key id. Nothing in it is verified. */
export interface NoteSignature {
  readonly name: string
  readonly keyId: number
  readonly signature: Uint8Array
}

/** A parsed note (C2SP signed-note). Nothing in it is verified; use `openNote` for that. */
export interface Note {
  /** Ends in a newline. Its UTF-8 bytes are what is signed. */
  readonly text: string
  readonly signatures: readonly NoteSignature[]
}

/** Limits the work that an adversary can cause. The standard asks for at least 16 signatures. */
const MAX_SIGNATURES = 100
const MAX_NOTE_LENGTH = 1_000_000

/** Parses a note strictly; undefined if it is malformed, has over 100 signatures or is longer than 1,000,000. */
export function parseNote(note: string | Uint8Array): Note | undefined {
  const whole = decodeNote(note)
  // The last empty line separates: the text may contain empty lines, the signatures may not.
  const separator = whole?.lastIndexOf('\n\n') ?? -1
  if (whole === undefined || separator < 0 || !whole.endsWith('\n') || hasControlCharacter(whole)) return undefined
  const lines = whole
    .slice(separator + 2)
    .split('\n')
    .slice(0, -1)
  if (lines.length < 1 || lines.length > MAX_SIGNATURES) return undefined
  const signatures = lines.map(parseSignatureLine).filter((signature) => signature !== undefined)
  return signatures.length === lines.length ? { text: whole.slice(0, separator + 1), signatures } : undefined
}

/** The note's text, blank line and signature lines. Throws RangeError if it would not parse to the same note. */
export function encodeNote({ text, signatures }: Note): string {
  const note = `${text}\n${signatures.map(signatureLine).join('')}`
  const parsed = parseNote(note)
  // A name that contains a line break would turn one signature into two.
  if (parsed?.text !== text || parsed.signatures.length !== signatures.length) {
    throw new RangeError('not the text or the signatures of a note')
  }
  return note
}

/** Signs a text with keys of type `ED25519`. Throws RangeError if the text is invalid or there is no key. */
export function signNote(text: string, ...keys: readonly SignerKey[]): string {
  return encodeNote({ text, signatures: keys.map((key) => noteSignature(text, key)) })
}

/** The same note with further signatures after its own. This attaches a witness's cosignature. Throws RangeError. */
export function addSignatures(note: string, ...signatures: readonly NoteSignature[]): string {
  const parsed = parseNote(note)
  if (parsed === undefined) throw new RangeError('not a note')
  return encodeNote({ text: parsed.text, signatures: [...parsed.signatures, ...signatures] })
}

function noteSignature(text: string, key: SignerKey): NoteSignature {
  const { name, keyId, type } = key.verifier
  if (type !== SIGNATURE_TYPE.ED25519) throw new RangeError('this key cosigns checkpoints only')
  return { name, keyId, signature: key.signRaw(Buffer.from(text)) }
}

/** `— <name> <base64(key id ‖ signature)>`, with its newline. */
export function signatureLine({ name, keyId, signature }: NoteSignature): string {
  const bytes = Buffer.alloc(4 + signature.length)
  bytes.writeUInt32BE(keyId)
  bytes.set(signature, 4)
  return `— ${name} ${encodeBase64(bytes)}\n`
}

function parseSignatureLine(line: string): NoteSignature | undefined {
  const [dash, name, base64, ...rest] = line.split(' ')
  if (dash !== '—' || name === undefined || base64 === undefined || rest.length > 0) return undefined
  const bytes = decodeBase64(base64)
  if (!isKeyName(name) || bytes === undefined || bytes.length < 5) return undefined
  return { name, keyId: Buffer.from(bytes).readUInt32BE(0), signature: bytes.subarray(4) }
}

function decodeNote(note: string | Uint8Array): string | undefined {
  if (note.length > MAX_NOTE_LENGTH) return undefined
  if (typeof note !== 'string') return decodeUtf8(note)
  return note.isWellFormed() ? note : undefined
}
