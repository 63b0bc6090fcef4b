import { join } from 'node:path'
import { ServiceError } from '@bailiwick/errors'
import { type DurableFs, lockFile, readFileIfExists, readStrictJson, systemFs, writeFileDurably } from '@bailiwick/kit'
import { encodeVkey, openNote, parseCheckpoint, type TreeHead, type VerifierKey } from '@bailiwick/tlog'
import { z } from 'zod'

/** The last checkpoint of a log that the witness cosigned. */
export interface CosignedCheckpoint extends TreeHead {
  /** The time of the cosignature: POSIX seconds. */
  readonly timestamp: number
  /** The note as signed by the log, with the witness's cosignature. */
  readonly note: string
}

/** The state that a witness must never forget. One process at a time. */
export interface WitnessState extends Disposable {
  last(origin: string): CosignedCheckpoint | undefined
  /**
   * Makes this note, which contains a cosignature of the witness, the last one of its log. Resolves once that survives a power cut. After a
   * rejection with `outcome_unknown` the file may have either state: the process must stop, and read it again.
   */
  record(note: string): Promise<void>
}

const schema = z.strictObject({
  v: z.literal(1),
  witness: z.string(),
  /** One note per log. */
  checkpoints: z.array(z.string()),
})
const LARGEST_STATE = 256 * 1024 * 1024

export const statePath = (dir: string) => join(dir, 'state.json')

/** The file of a witness that has cosigned these notes; none for a new witness. */
export function encodeState(witness: VerifierKey, checkpoints: readonly string[] = []): Uint8Array {
  return Buffer.from(`${JSON.stringify({ v: 1, witness: encodeVkey(witness), checkpoints })}\n`)
}

/**
 * Opens the state in a folder. Throws `witness_state_invalid` if it is missing, truncated, of another witness, or contains a note that this
 * witness did not cosign; `witness_locked` while another process holds it.
 */
export async function openState(dir: string, witness: VerifierKey, fs: DurableFs = systemFs): Promise<WitnessState> {
  const path = statePath(dir)
  // Before taking the lock, which creates its file: a folder that does not belong to a witness stays as it is.
  if ((await readFileIfExists(path, fs)) === undefined) throw invalid(`${path} is missing`)
  const lock = lockFile(join(dir, 'state.lock'), 'witness_locked')
  try {
    const held = readState(path, (await readFileIfExists(path, fs)) ?? new Uint8Array(), witness)
    return {
      last: (origin) => held.get(origin),
      async record(note) {
        const next = cosigned(note, witness)
        if (next === undefined) throw new ServiceError('invariant_broken', 'only what was cosigned is recorded')
        const all = [...new Map(held).set(next.origin, next).values()]
        await writeFileDurably(
          path,
          encodeState(
            witness,
            all.map((each) => each.note),
          ),
          { fs },
        )
        held.set(next.origin, next)
      },
      [Symbol.dispose]: () => lock[Symbol.dispose](),
    }
  } catch (error) {
    lock[Symbol.dispose]()
    throw error
  }
}

function readState(path: string, bytes: Uint8Array, witness: VerifierKey): Map<string, CosignedCheckpoint> {
  const json = readStrictJson(bytes, { maxBytes: LARGEST_STATE })
  const read = json.ok ? schema.safeParse(json.value) : undefined
  if (!read?.success) throw invalid(`${path} is cut short, or was changed`)
  if (read.data.witness !== encodeVkey(witness)) throw invalid(`${path} is the state of ${read.data.witness}`)
  const held = new Map<string, CosignedCheckpoint>()
  for (const note of read.data.checkpoints) {
    const checkpoint = cosigned(note, witness)
    if (checkpoint === undefined) throw invalid(`${path} holds what this witness did not cosign`)
    if (held.has(checkpoint.origin)) throw invalid(`${path} has two checkpoints of ${checkpoint.origin}`)
    held.set(checkpoint.origin, checkpoint)
  }
  return held
}

function cosigned(note: string, witness: VerifierKey): (CosignedCheckpoint & { origin: string }) | undefined {
  const opened = openNote(note, [witness])
  const checkpoint = opened.ok ? parseCheckpoint(opened.text) : undefined
  const timestamp = opened.ok ? opened.signers[0]?.timestamp : undefined
  if (checkpoint === undefined || timestamp === undefined) return undefined
  const { origin, size, root } = checkpoint
  return { origin, size, root, timestamp, note }
}

function invalid(detail: string): ServiceError {
  return new ServiceError('witness_state_invalid', detail)
}
