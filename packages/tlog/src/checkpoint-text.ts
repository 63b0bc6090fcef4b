import { decodeBase64, decodeDecimal, encodeBase64 } from './text.ts'
import { isHash, type TreeHead } from './tree.ts'

/** The body of a checkpoint (C2SP tlog-checkpoint): a log's tree head. It says nothing about signatures. */
export interface Checkpoint extends TreeHead {
  /** Names the log. Here it is always the name of the log's key. */
  readonly origin: string
  /** Extension lines, opaque, without their newlines; usually none. */
  readonly extensions: readonly string[]
}

/** The note text of a checkpoint. Throws RangeError if it would not parse to the same checkpoint. */
export function encodeCheckpoint({ origin, size, root, extensions }: Checkpoint): string {
  const text = [origin, String(size), encodeBase64(root), ...extensions, ''].join('\n')
  const parsed = parseCheckpoint(text)
  if (parsed?.extensions.length !== extensions.length || parsed.origin !== origin) {
    throw new RangeError('not a checkpoint')
  }
  return text
}

/** Parses a note's text as a checkpoint, strictly; undefined if it is not one. */
export function parseCheckpoint(text: string): Checkpoint | undefined {
  const lines = text.split('\n')
  if (lines.pop() !== '' || lines.includes('')) return undefined
  const [origin, decimal, base64, ...extensions] = lines
  if (origin === undefined || decimal === undefined || base64 === undefined) return undefined
  const size = decodeDecimal(decimal)
  const root = decodeBase64(base64)
  return size !== undefined && isHash(root) ? { origin, size, root, extensions } : undefined
}
