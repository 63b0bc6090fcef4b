import { after } from '@bailiwick/kit'
import { isQuorumMet, type NoteSignature, type Policy, type VerifierKey } from '@bailiwick/tlog'
import type { Published } from '../log/log.ts'
import type { Submitted, WitnessClient } from './submit.ts'

/** A checkpoint with only the log's signature, and the cosignatures that have arrived. */
export interface Round {
  readonly checkpoint: Published
  readonly signatures: ReadonlyMap<VerifierKey, readonly NoteSignature[]>
  /** Whether the cosignatures satisfy the policy. */
  readonly isQuorum: boolean
}

export interface CosigningOptions {
  policy: Policy
  witnesses: ReadonlyMap<VerifierKey, WitnessClient>
  /** Called for each cosignature that arrives. */
  onCosigned: (round: Round) => void
  onSubmitted: (witness: string, submitted: Submitted, checkpoint: Published) => void
}

/** How long a round may hold up the next one for witnesses that do not answer. */
const roundMs = 2000
const backOffMs = { first: 500, most: 30_000 }

/**
 * Gathers cosignatures in rounds. All witnesses of a round are asked about the same checkpoint: otherwise each would cosign another one,
 * and none would get a quorum. The next round, about the checkpoint that is then the newest, begins with the quorum or after 2 s. It does
 * not wait for witnesses that are slow or fail; they are asked about a later round.
 */
export class Cosigning implements AsyncDisposable {
  readonly #options: CosigningOptions
  readonly #stop = new AbortController()
  readonly #asking = new Map<VerifierKey, Promise<void>>()
  #newest: Published | undefined
  #round:
    | { checkpoint: Published; signatures: Map<VerifierKey, readonly NoteSignature[]>; settled: boolean }
    | undefined

  constructor(options: CosigningOptions) {
    this.#options = options
  }

  /** Asks for cosignatures of this newest checkpoint as soon as it is its turn. `known`: cosignatures that it already has. */
  announce(checkpoint: Published, known: ReadonlyMap<VerifierKey, readonly NoteSignature[]> = new Map()): void {
    this.#newest = checkpoint
    if (this.#round === undefined || this.#round.settled) this.#begin(checkpoint, known)
  }

  #begin(checkpoint: Published, known: ReadonlyMap<VerifierKey, readonly NoteSignature[]> = new Map()): void {
    if (this.#stop.signal.aborted) return
    const round = { checkpoint, signatures: new Map(known), settled: false }
    this.#round = round
    const settle = () => this.#settle(round)
    after(roundMs, this.#stop.signal).then(settle, () => undefined)
    for (const [key, witness] of this.#options.witnesses)
      if (!this.#asking.has(key) && !known.has(key)) this.#asking.set(key, this.#ask(key, witness))
  }

  #settle(round: { checkpoint: Published; settled: boolean }): void {
    if (round.settled) return
    round.settled = true
    const newest = this.#newest
    if (this.#round === round && newest !== undefined && newest.size > round.checkpoint.size) this.#begin(newest)
  }

  async #ask(key: VerifierKey, witness: WitnessClient): Promise<void> {
    let failures = 0
    for (let round = this.#round; round !== undefined && !round.signatures.has(key); round = this.#round) {
      const submitted = await witness.submit(round.checkpoint, this.#stop.signal)
      if (this.#stop.signal.aborted) return
      this.#options.onSubmitted(witness.name, submitted, round.checkpoint)
      if (submitted.outcome === 'cosigned') {
        failures = 0
        round.signatures.set(key, submitted.signatures)
        const isQuorum = isQuorumMet(this.#options.policy, [...round.signatures.keys()])
        this.#options.onCosigned({ ...round, isQuorum })
        if (isQuorum) this.#settle(round)
        continue
      }
      const wait = Math.min(backOffMs.most, backOffMs.first * 2 ** failures++)
      await after(wait, this.#stop.signal).catch(() => undefined)
    }
    // In the same step as the last check of the round, so that a round that begins now asks this witness again.
    this.#asking.delete(key)
  }

  /** Asks no witness any more. Answers under way may still arrive, but change nothing. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await Promise.all(this.#asking.values())
  }
}
