import { ServiceError } from '@bailiwick/errors'
import {
  type Checkpoint,
  type CheckpointRefusal,
  type FsckReason,
  fsck,
  isQuorumMet,
  type NoteSigner,
  openCheckpoint,
  type Policy,
  type VerifierKey,
} from '@bailiwick/tlog'
import { type LogSource, somethingAt } from './source.ts'

export interface VerifyOptions {
  readonly source: LogSource
  readonly vkey: VerifierKey
  /** Checkpoints that were kept, by their origin. Without any, a rollback of the log cannot be detected. */
  readonly older?: readonly { readonly name: string; readonly note: Uint8Array }[]
  /** The cosignatures that its checkpoint must have. */
  readonly policy?: Policy | undefined
  readonly onProgress?: (entries: number, size: number) => void
  /** Called with each entry, in order, once it is proved to be in the tree. */
  readonly onEntry?: (index: number, entry: Uint8Array) => void | Promise<void>
}

/** The first fault: the file, and if known the index of the first entry that it concerns. */
export interface LogFault {
  readonly ok: false
  readonly path: string
  readonly reason: FsckReason | CheckpointRefusal | 'quorum_missing'
  readonly index?: number
  /** For `quorum_missing`: the witnesses that did cosign. */
  readonly witnesses?: readonly NoteSigner[]
  /** For `checkpoint_inconsistent`: the older checkpoint's size, and the log's size now. */
  readonly older?: { readonly size: number; readonly now: number }
}

export type LogReport =
  | {
      readonly ok: true
      readonly checkpoint: Checkpoint
      readonly older: readonly { name: string; size: number }[]
      /** The policy's witnesses whose cosignatures are valid. */
      readonly witnesses: readonly NoteSigner[]
    }
  | LogFault

const CHECKPOINT = 'checkpoint'

/**
 * Verifies a log from its files and its public key alone (DESIGN §7.5): the checkpoint is signed by this log, every entry and every tile is
 * what it commits to, every kept checkpoint is the beginning of this log, and the policy's quorum cosigned. Throws `config_invalid` if
 * there is no log, or if a kept checkpoint does not belong to this log: then nothing was found out.
 */
export async function verifyLog(options: VerifyOptions): Promise<LogReport> {
  const { source, vkey, older = [], policy, onProgress, onEntry } = options
  const kept = older.map(({ name, note }) => {
    const opened = openCheckpoint(note, { log: vkey })
    if (opened.ok) return { name, checkpoint: opened.checkpoint }
    throw new ServiceError('config_invalid', `--old ${name} is no checkpoint signed by ${vkey.name} (${opened.reason})`)
  })
  await somethingAt(source)
  const note = await source.read(CHECKPOINT)
  if (note === undefined) return { ok: false, path: CHECKPOINT, reason: 'missing' }
  const opened = openCheckpoint(note, { log: vkey, witnesses: policy?.witnesses.map(({ key }) => key) ?? [] })
  if (!opened.ok) return { ok: false, path: CHECKPOINT, reason: opened.reason }
  const { checkpoint, witnesses } = opened
  if (
    policy !== undefined &&
    !isQuorumMet(
      policy,
      witnesses.map(({ key }) => key),
    )
  )
    return { ok: false, path: CHECKPOINT, reason: 'quorum_missing', witnesses }
  const result = await fsck({
    read: source.read,
    checkpoint,
    older: kept.map((each) => each.checkpoint),
    ...(onProgress === undefined ? {} : { onProgress }),
    ...(onEntry === undefined ? {} : { onEntry }),
  })
  if (result.ok) {
    const names = kept.map((each) => ({ name: each.name, size: each.checkpoint.size }))
    return { ok: true, checkpoint, older: names, witnesses }
  }
  const { size, ...fault } = result
  return size === undefined ? fault : { ...fault, older: { size, now: checkpoint.size } }
}
