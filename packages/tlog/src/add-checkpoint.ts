import { parseNote } from './note.ts'
import { decodeBase64, decodeDecimal, decodeUtf8, encodeBase64 } from './text.ts'
import { isHash } from './tree.ts'

/** The parsed body of `add-checkpoint` (C2SP tlog-witness). Nothing in it is verified. */
export interface AddCheckpoint {
  /** Size of the last checkpoint that the witness is believed to have cosigned; 0 for none. */
  readonly oldSize: number
  /** Proves consistency from the tree of `oldSize` leaves to the checkpoint's tree (RFC 6962 §2.1.2). */
  readonly proof: readonly Uint8Array[]
  /** The signed note of the checkpoint, verbatim. */
  readonly checkpoint: string
}

const OLD = 'old '
const MAX_PROOF_LINES = 63

/** The body of a request. Throws RangeError if the result would not parse. */
export function encodeAddCheckpoint({ oldSize, proof, checkpoint }: AddCheckpoint): Uint8Array {
  const body = Buffer.from([OLD + oldSize, ...proof.map(encodeBase64), '', checkpoint].join('\n'))
  if (parseAddCheckpoint(body) === undefined) throw new RangeError('not a submission to a witness')
  return body
}

/** Parses the body of a request strictly; undefined if it is malformed. */
export function parseAddCheckpoint(body: Uint8Array): AddCheckpoint | undefined {
  const text = decodeUtf8(body)
  // The first empty line ends the proof. The checkpoint after it contains another empty line.
  const separator = text?.indexOf('\n\n') ?? -1
  if (text === undefined || separator < 0) return undefined
  const [oldLine, ...lines] = text.slice(0, separator).split('\n')
  const oldSize = oldLine?.startsWith(OLD) ? decodeDecimal(oldLine.slice(OLD.length)) : undefined
  const proof = lines.map(decodeBase64).filter(isHash)
  const checkpoint = text.slice(separator + 2)
  if (oldSize === undefined || lines.length > MAX_PROOF_LINES || proof.length !== lines.length) return undefined
  return parseNote(checkpoint) === undefined ? undefined : { oldSize, proof, checkpoint }
}
