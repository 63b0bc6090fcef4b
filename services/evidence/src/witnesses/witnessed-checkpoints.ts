import { after, type Clock, withDeadline } from '@bailiwick/kit'
import {
  addSignatures,
  encodeNote,
  hashesAtLevel,
  isQuorumMet,
  type NoteSignature,
  openCheckpoint,
  parseNote,
  type SignerKey,
  TILE_WIDTH,
  type VerifierKey,
} from '@bailiwick/tlog'
import type { Published } from '../log/log.ts'
import type { LogStorage, Place } from '../log/log-storage.ts'
import { Cosigning, type CosigningOptions, type Round } from './cosigning.ts'

export interface WitnessedOptions extends Pick<CosigningOptions, 'policy' | 'witnesses' | 'onSubmitted'> {
  storage: LogStorage
  key: SignerKey
  clock: Clock
  /** Called for each checkpoint that readers see from now on. */
  onPublished: (checkpoint: Published) => void
  onFatal: (error: unknown) => void
  /** How long a checkpoint waits for its quorum before readers see it without one, in ms. */
  patienceMs?: number
}

const patience = 700
/** How long a stop waits for the cosignatures of the last checkpoint. */
const lastWordMs = 1000

interface Candidate extends Published {
  /** How many cosignatures the note has. */
  readonly cosignatures: number
}

/**
 * The checkpoints that readers see of a witnessed log: the newest one with a quorum of cosignatures, as long as that comes within 700 ms.
 * Otherwise it is the newest one with the cosignatures that it has, since the log does not wait for witnesses. This sits between the log
 * and its storage: for the log, a checkpoint is published once it is handed over here. If a crash loses it, the next start signs the same
 * bytes again.
 */
export class WitnessedCheckpoints implements AsyncDisposable {
  readonly #options: WitnessedOptions
  readonly #cosigning: Cosigning
  readonly #stop = new AbortController()
  #published: Candidate | undefined
  /** Places whose full tiles the log has, but that readers see only under a later checkpoint. */
  #outgrown: Place[] = []
  #witnessed: Published | undefined
  #newest: Candidate | undefined
  #wanted: Candidate | undefined
  #writing: Promise<void> | undefined
  /** Checkpoints that were handed over but that readers do not see yet, oldest first. */
  #waiting: { size: number; since: number }[] = []
  #patient = false
  #quorum = Promise.withResolvers<void>()

  constructor(options: WitnessedOptions) {
    this.#options = options
    const { policy, witnesses, onSubmitted } = options
    this.#cosigning = new Cosigning({ policy, witnesses, onSubmitted, onCosigned: (round) => this.#cosigned(round) })
  }

  /** The log's storage. Everything except the checkpoint is passed through. */
  get storage(): LogStorage {
    const { storage } = this.#options
    return {
      read: (path) => storage.read(path),
      hasTiles: () => storage.hasTiles(),
      enter: (record, before) => storage.enter(record, before),
      readJournal: (size) => storage.readJournal(size),
      write: (files) => storage.write(files),
      discardBeyond: (size) => storage.discardBeyond(size),
      outgrown: (size) => storage.outgrown(size),
      discardPartial: async (place) => void this.#outgrown.push(place),
      readHead: () => storage.readHead(),
      swapHead: (expected, next) => storage.swapHead(expected, next),
      readCheckpoint: () => storage.readCheckpoint(),
      publishCheckpoint: async (note) => this.#handOver(Buffer.from(note).toString()),
      [Symbol.asyncDispose]: () => storage[Symbol.asyncDispose](),
    }
  }

  /** Continues with the checkpoint that the log was opened with, which readers and witnesses may not have yet. */
  begin(checkpoint: Published): void {
    if (this.#newest === undefined) this.#handOver(checkpoint.note, true)
  }

  /** The checkpoint that readers see; undefined until the first is written. */
  get published(): Published | undefined {
    return this.#published
  }

  /** The newest checkpoint that a quorum cosigned since the start. Receipts should carry this one. */
  get witnessed(): Published | undefined {
    return this.#witnessed
  }

  #handOver(note: string, isPublished = false): void {
    const { policy, key } = this.#options
    const opened = openCheckpoint(note, { log: key.verifier, witnesses: policy.witnesses.map((party) => party.key) })
    if (!opened.ok) throw new RangeError('the log hands over what it signed')
    const { size, root } = opened.checkpoint
    const known = new Map(opened.witnesses.map((signer) => [signer.key, linesBy(note, signer.key)]))
    const candidate = { size, root, note, cosignatures: known.size }
    this.#newest = candidate
    this.#quorum = Promise.withResolvers()
    if (isQuorumMet(policy, [...known.keys()])) this.#met(candidate)
    if (isPublished) this.#published = candidate
    else if (this.#published === undefined && this.#wanted === undefined) this.#publish(candidate)
    else this.#wait(size)
    // The empty tree has nothing that a witness could vouch for.
    const alone = encodeNote({ text: parseNote(note)?.text ?? '', signatures: linesBy(note, key.verifier) })
    if (size > 0) this.#cosigning.announce({ size, root, note: alone }, known)
  }

  #cosigned({ checkpoint, signatures, isQuorum }: Round): void {
    const { policy } = this.#options
    const lines = policy.witnesses.flatMap(({ key }) => signatures.get(key) ?? [])
    const candidate = { ...checkpoint, note: addSignatures(checkpoint.note, ...lines), cosignatures: signatures.size }
    if (isQuorum) this.#met(candidate)
    if (checkpoint.size === this.#newest?.size) this.#newest = candidate
    // A cosignature that was too late for a quorum is still added to the checkpoint that readers see.
    if (isQuorum || checkpoint.size === this.#published?.size) this.#publish(candidate)
  }

  #met(candidate: Candidate): void {
    if (candidate.size >= (this.#witnessed?.size ?? 0)) this.#witnessed = candidate
    if (candidate.size === this.#newest?.size) this.#quorum.resolve()
  }

  #wait(size: number): void {
    this.#waiting.push({ size, since: this.#options.clock.monotonic() })
    if (!this.#patient) void this.#losePatience()
  }

  /** Ensures that no checkpoint stays unpublished for longer than the patience, with one timer at a time. */
  async #losePatience(): Promise<void> {
    this.#patient = true
    const { clock, patienceMs = patience } = this.#options
    for (let oldest = this.#waiting[0]; oldest !== undefined; oldest = this.#waiting[0]) {
      const rest = oldest.since + patienceMs - clock.monotonic()
      if (rest > 0) await after(rest, this.#stop.signal).catch(() => undefined)
      if (this.#stop.signal.aborted) return
      if (this.#waiting[0] === oldest && this.#newest !== undefined) this.#publish(this.#newest)
    }
    this.#patient = false
  }

  /** Only forward: a larger tree, or the same one with more cosignatures. */
  #publish(candidate: Candidate): void {
    // Readers will see these under this checkpoint or a later one, so they must not stay in the list of waiting ones.
    this.#waiting = this.#waiting.filter(({ size }) => size > candidate.size)
    const before = this.#wanted ?? this.#published
    if (before !== undefined && !isAfter(candidate, before)) return
    this.#wanted = candidate
    this.#writing ??= this.#write()
  }

  async #write(): Promise<void> {
    try {
      for (let next = this.#wanted; next !== undefined; next = this.#wanted) {
        await this.#options.storage.publishCheckpoint(Buffer.from(next.note))
        this.#published = next
        if (this.#wanted === next) this.#wanted = undefined
        this.#options.onPublished(next)
        await this.#discardOutgrown(next.size)
      }
      this.#writing = undefined
    } catch (error) {
      this.#options.onFatal(error)
    }
  }

  async #discardOutgrown(size: number): Promise<void> {
    const isSeen = ({ level, index }: Place) =>
      hashesAtLevel(size, level === 'entries' ? 0 : level) >= (index + 1) * TILE_WIDTH
    const seen = this.#outgrown.filter(isSeen)
    this.#outgrown = this.#outgrown.filter((place) => !isSeen(place))
    for (const place of seen) await this.#options.storage.discardPartial(place)
  }

  /** Waits a moment for the last checkpoint's quorum, then lets readers see it as it is. */
  async [Symbol.asyncDispose](): Promise<void> {
    const isMet = this.#witnessed?.size === this.#newest?.size || this.#newest?.size === 0
    if (!isMet) await withDeadline(this.#quorum.promise, lastWordMs).catch(() => undefined)
    this.#stop.abort()
    // First, so that nothing is published after the last checkpoint.
    await this.#cosigning[Symbol.asyncDispose]()
    if (this.#newest !== undefined) this.#publish(this.#newest)
    await this.#writing
  }
}

function isAfter(a: Candidate, b: Candidate): boolean {
  return a.size > b.size || (a.size === b.size && a.cosignatures > b.cosignatures)
}

function linesBy(note: string, { name, keyId }: VerifierKey): NoteSignature[] {
  return parseNote(note)?.signatures.filter((line) => line.name === name && line.keyId === keyId) ?? []
}
