import { parseNote } from './note.ts'
import { decodeBase64, decodeDecimal, decodeUtf8, encodeBase64 } from './text.ts'
import { isHash } from './tree.ts'

/** The body of `add-checkpoint` (C2SP tlog-witness) taken apart. Nothing about it is verified. */
export interface AddCheckpoint {
  /** Size of the last checkpoint that the witness is thought to have cosigned; 0 for none. */
  readonly oldSize: number
  /** From the tree of `oldSize` leaves to that of the checkpoint (RFC 6962 §2.1.2). */
  readonly proof: readonly Uint8Array[]
  /** The signed note of the checkpoint, verbatim. */
  readonly checkpoint: string
}

const OLD = 'old '
const MAX_PROOF_LINES = 63

/** The body of a request. Throws RangeError when it would not parse. */
export function encodeAddCheckpoint({ oldSize, proof, checkpoint }: AddCheckpoint): Uint8Array {
  const body = Buffer.from([OLD + oldSize, ...proof.map(encodeBase64), '', checkpoint].join('\n'))
  if (parseAddCheckpoint(body) === undefined) throw new RangeError('not a submission to a witness')
  return body
}

/** Takes the body of a request apart, strictly; undefined when it is none. */
export function parseAddCheckpoint(body: Uint8Array): AddCheckpoint | undefined {
  const text = decodeUtf8(body)
  // The first empty line ends the proof; the checkpoint behind it has one of its own.
  const separator = text?.indexOf('\n\n') ?? -1
  if (text === undefined || separator < 0) return undefined
  const [oldLine, ...lines] = text.slice(0, separator).split('\n')
  const oldSize = oldLine?.startsWith(OLD) ? decodeDecimal(oldLine.slice(OLD.length)) : undefined
  const proof = lines.map(decodeBase64).filter(isHash)
  const checkpoint = text.slice(separator + 2)
  if (oldSize === undefined || lines.length > MAX_PROOF_LINES || proof.length !== lines.length) return undefined
  return parseNote(checkpoint) === undefined ? undefined : { oldSize, proof, checkpoint }
}
