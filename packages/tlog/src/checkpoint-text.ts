import { decodeBase64, decodeDecimal, encodeBase64 } from './text.ts'
import { isHash, type TreeHead } from './tree.ts'

/** The body of a checkpoint (C2SP tlog-checkpoint): a log's tree head. Whether anybody signed it is another question. */
export interface Checkpoint extends TreeHead {
  /** Names the log; here always its key's name. */
  readonly origin: string
  /** Extension lines, opaque, without their newlines; usually none. */
  readonly extensions: readonly string[]
}

/** The note text of a checkpoint. Throws RangeError when it would not parse to the same checkpoint. */
export function encodeCheckpoint({ origin, size, root, extensions }: Checkpoint): string {
  const text = [origin, String(size), encodeBase64(root), ...extensions, ''].join('\n')
  const parsed = parseCheckpoint(text)
  if (parsed?.extensions.length !== extensions.length || parsed.origin !== origin) {
    throw new RangeError('not a checkpoint')
  }
  return text
}

/** The checkpoint that a note's text is, strictly; undefined when it is none. */
export function parseCheckpoint(text: string): Checkpoint | undefined {
  const lines = text.split('\n')
  if (lines.pop() !== '' || lines.includes('')) return undefined
  const [origin, decimal, base64, ...extensions] = lines
  if (origin === undefined || decimal === undefined || base64 === undefined) return undefined
  const size = decodeDecimal(decimal)
  const root = decodeBase64(base64)
  return size !== undefined && isHash(root) ? { origin, size, root, extensions } : undefined
}
