import { SerialQueue } from '@bailiwick/kit'
import {
  cosign,
  emptyRoot,
  encodeNote,
  openCheckpoint,
  parseAddCheckpoint,
  parseCheckpoint,
  parseNote,
  type SignerKey,
  signatureLine,
  type TreeHead,
  type VerifierKey,
  verifyConsistency,
} from '@bailiwick/tlog'
import type { WitnessState } from './witness-state.ts'

/** The logs that a witness cosigns: the keys that may sign each log's checkpoints, by the log's origin. */
export type WitnessedLogs = ReadonlyMap<string, readonly VerifierKey[]>

/** Why a submission is not cosigned; the state is unchanged. */
export type WitnessRefusal =
  | 'body_malformed'
  | 'origin_unknown'
  | 'signature_untrusted'
  | 'old_size_beyond'
  | 'checkpoint_inconsistent'

export type WitnessAnswer =
  /** Signature lines of the witness, to be appended to the checkpoint's own. They are durably recorded. */
  | { readonly outcome: 'cosigned'; readonly origin: string; readonly size: number; readonly lines: string }
  /** The old size is not that of the last cosigned checkpoint, which is `size`. */
  | { readonly outcome: 'stale'; readonly origin: string; readonly size: number }
  | {
      readonly outcome: 'refused'
      readonly reason: WitnessRefusal
      /** For `checkpoint_inconsistent`: the note that the log signed, and the last cosigned checkpoint if any: proof of a fork. */
      readonly fork?: { readonly offered: string; readonly cosigned: string | undefined }
    }

export interface WitnessOptions {
  key: SignerKey
  logs: WitnessedLogs
  state: WitnessState
  /** ms since the epoch. */
  now: () => number
}

/** The most waiting submissions; each is at most as long as the server accepts. */
const waiting = { max: 1024, maxPerKey: 1024 }
const turn = 'state'

/**
 * A witness (C2SP tlog-witness). For each log it cosigns only one line of growing trees, and never two roots of one size. Submissions are
 * judged one after another against the recorded state, and answered once the new record is durable: of two concurrent submissions, one sees
 * the other's record.
 */
export class Witness {
  readonly #options: WitnessOptions
  readonly #queue = new SerialQueue(waiting)

  constructor(options: WitnessOptions) {
    this.#options = options
  }

  /**
   * Answers the body of `add-checkpoint`, with its checks in the order of the specification. Rejects with `queue_full`, and with the disk's
   * error if the record could not be written: then nothing is cosigned.
   */
  async addCheckpoint(body: Uint8Array): Promise<WitnessAnswer> {
    const request = parseAddCheckpoint(body)
    const note = request === undefined ? undefined : parseNote(request.checkpoint)
    const checkpoint = note === undefined ? undefined : parseCheckpoint(note.text)
    if (request === undefined || note === undefined || checkpoint === undefined) return refused('body_malformed')
    const { origin, size } = checkpoint
    const keys = this.#options.logs.get(origin)
    if (keys === undefined) return refused('origin_unknown')
    const signatures = trustedSignatures(request.checkpoint, origin, keys)
    if (signatures === undefined) return refused('signature_untrusted')
    if (request.oldSize > size) return refused('old_size_beyond')
    return this.#queue.serially(turn, async () => {
      const { state, key, now } = this.#options
      const last = state.last(origin)
      const head: TreeHead = last ?? { size: 0, root: emptyRoot() }
      if (request.oldSize !== head.size) return { outcome: 'stale', origin, size: head.size }
      if (!verifyConsistency(request.proof, head, checkpoint)) {
        const fork = { offered: request.checkpoint, cosigned: last?.note }
        return { outcome: 'refused', reason: 'checkpoint_inconsistent', fork }
      }
      // After a clock is set back, the larger tree must not become the earlier statement.
      const timestamp = Math.max(Math.floor(now() / 1000), last?.timestamp ?? 0)
      const cosignature = cosign(note.text, key, timestamp)
      await state.record(encodeNote({ text: note.text, signatures: [...signatures, cosignature] }))
      return { outcome: 'cosigned', origin, size, lines: signatureLine(cosignature) }
    })
  }
}

/** The lines by the log's keys; undefined if there is none, or if one of them is invalid. */
function trustedSignatures(checkpoint: string, origin: string, keys: readonly VerifierKey[]) {
  const signers = keys.map((log) => openCheckpoint(checkpoint, { log, origin }))
  if (signers.some((opened) => !opened.ok && opened.reason !== 'signature_missing')) return undefined
  if (!signers.some((opened) => opened.ok)) return undefined
  return parseNote(checkpoint)?.signatures.filter((line) =>
    keys.some(({ name, keyId }) => name === line.name && keyId === line.keyId),
  )
}

function refused(reason: Exclude<WitnessRefusal, 'checkpoint_inconsistent'>): WitnessAnswer {
  return { outcome: 'refused', reason }
}
