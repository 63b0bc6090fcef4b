import { createHmac } from 'node:crypto'
import type { GrantStore } from '@bailiwick/grant-store'
import { type Clock, type RandomSource, withDeadline } from '@bailiwick/kit'
import { answerWithinMs } from '../order/bounded-grant-store.ts'

export const proofMaxAgeMs = 60_000
export const proofLeewayMs = 5000
const windowMs = 5 * 60 * 1000
const rememberedHere = 200_000
/** Marks a nonce of an instance that cannot ask the others. They all refuse such a nonce, so that instance's own memory is enough. */
const alonePrefix = 'alone.'

export type ProofVerdict = 'accepted' | 'replayed' | 'nonce_required'

/**
 * Counts each proof once over all instances (V10). The shared store remembers proofs for all of them. Its epoch changes when it has
 * lost something, and a proof made before then needs a nonce made since. While the store is away, an instance accepts only proofs
 * with its *alone* nonce, which no other instance ever accepts. Otherwise a proof that it counted by itself would be new to the
 * next instance that reaches the store (DESIGN §5).
 */
export class Proofs {
  readonly #store: GrantStore
  readonly #clock: Clock
  readonly #random: RandomSource
  readonly #limit: number
  readonly #adoptWithinMs: number
  readonly #here = new Map<string, number>()
  /**
   * The secret of the nonces that all instances accept, once the store has said that the proof is new. It is the store's epoch, so
   * that a nonce that one instance asks for is good at any other. The epoch names a memory that has lost nothing since it began, and
   * a proof made with such a nonce is not older than that memory.
   */
  #secret: Uint8Array | string
  /** The secret of the nonces that this instance alone accepts. It is valid for as long as this instance's memory is. */
  #aloneSecret: Uint8Array
  /** A memory that is now lost may have seen proofs made before this moment (ms since the epoch). */
  #lostUntil: number
  #alone = false
  #adopting: Promise<void> | undefined

  constructor(
    store: GrantStore,
    clock: Clock,
    random: RandomSource,
    { limit = rememberedHere, adoptWithinMs = answerWithinMs } = {},
  ) {
    this.#store = store
    this.#clock = clock
    this.#random = random
    this.#limit = limit
    this.#adoptWithinMs = adoptWithinMs
    this.#secret = random(32)
    this.#aloneSecret = random(32)
    this.#lostUntil = clock.now()
  }

  /**
   * Adopts the store as it is, once for all concurrent calls. From then on old proofs need a nonce, and old nonces are refused.
   * Rejects with `outcome_unknown` if the store has not answered by the deadline; an answer that comes later still counts.
   */
  adopt(): Promise<void> {
    this.#adopting ??= this.#adopt().finally(() => {
      this.#adopting = undefined
    })
    return this.#adopting
  }

  /** Calls `adopt`, unless another call has adopted the store since the caller learned that its epoch changed. */
  async readopt(): Promise<void> {
    if (this.#adopting || (await this.#store.epoch()) === undefined) await this.adopt()
  }

  async #adopt(): Promise<void> {
    // Before: a proof may be judged as soon as the store answers again. After: others counted proofs meanwhile.
    this.#forgetOld()
    this.#alone = true
    await withDeadline(this.#join(), this.#adoptWithinMs, 'outcome_unknown')
  }

  /**
   * Not bounded: from the store's answer on, however late, this instance uses the store under that epoch. Without the rest it
   * would do so with a secret that no other instance has, and count what others counted before the answer.
   */
  async #join(): Promise<void> {
    const epoch = await this.#store.adopt()
    this.#alone = false
    this.#forgetOld()
    this.#secret = epoch
  }

  #forgetOld(): void {
    this.#secret = this.#random(32)
    this.#lostUntil = this.#clock.now() + proofLeewayMs
  }

  /** The nonce that the next proof needs now. */
  nonce(): string {
    const window = this.#window()
    return this.#alone ? this.#aloneNonce(window) : this.#sharedNonce(window)
  }

  /** Counted by wall-clock time, on which the instances may differ a little. */
  #window(): number {
    return Math.floor(this.#clock.now() / windowMs)
  }

  #sharedNonce(window: number): string {
    return createHmac('sha256', this.#secret).update(`dpop ${window}`).digest('base64url')
  }

  #aloneNonce(window: number): string {
    return alonePrefix + createHmac('sha256', this.#aloneSecret).update(`dpop ${window}`).digest('base64url')
  }

  #isOurs(nonce: string | undefined): boolean {
    const window = this.#window()
    return nonce !== undefined && [window, window - 1, window + 1].some((one) => nonce === this.#sharedNonce(one))
  }

  #isAlone(nonce: string | undefined): boolean {
    if (!nonce?.startsWith(alonePrefix)) return false
    const window = this.#window()
    return nonce === this.#aloneNonce(window) || nonce === this.#aloneNonce(window - 1)
  }

  /** `madeAt` is in whole seconds: a proof of the second in which the memory was lost may be older than the loss. */
  #mayBeOld(madeAt: number, nonce: string | undefined): boolean {
    return madeAt <= this.#lostUntil && !this.#isOurs(nonce)
  }

  /** `id` names the proof: its key and jti. */
  async accept(id: string, madeAt: number, nonce: string | undefined): Promise<ProofVerdict> {
    const now = this.#clock.now()
    const alone = this.#isAlone(nonce)
    if (!alone && nonce?.startsWith(alonePrefix)) {
      // Once the store is back, ask for a nonce that all instances accept. Otherwise two instances would ask in turn, each for its own.
      await this.#joinOthers()
      return 'nonce_required'
    }
    if (!alone && this.#mayBeOld(madeAt, nonce)) {
      // The nonce may belong to an epoch that other instances adopted. The nonce that is asked for must be good with them, too.
      await this.#joinOthers()
      if (this.#mayBeOld(madeAt, nonce)) return 'nonce_required'
    }
    if ((this.#here.get(id) ?? 0) > now) return 'replayed'
    const until = now + proofMaxAgeMs + 2 * proofLeewayMs + 1 // past the last ms in which the proof is still accepted
    if (!this.#rememberHere(id, until, now)) return 'nonce_required'
    const shared = await this.#rememberShared(id, now, until, nonce)
    if (shared === 'seen') return 'replayed'
    if (alone) return 'accepted'
    // Check the age once more: the store may have been lost and adopted since the first check.
    return shared === 'new' && !this.#mayBeOld(madeAt, nonce) ? 'accepted' : 'nonce_required'
  }

  async #joinOthers(): Promise<void> {
    try {
      await this.readopt()
      this.#alone = false
    } catch {
      this.#alone = true
    }
  }

  async #rememberShared(
    id: string,
    now: number,
    until: number,
    nonce: string | undefined,
  ): Promise<'new' | 'seen' | 'unknown'> {
    try {
      let answer = await this.#store.remember(id, now, until)
      if (answer === undefined) {
        await this.readopt()
        // With a nonce of the epoch that was just adopted, the proof is younger than this memory, which has lost nothing since.
        if (this.#isOurs(nonce)) answer = await this.#store.remember(id, now, until)
      }
      this.#alone = false
      return answer === undefined ? 'unknown' : answer ? 'new' : 'seen'
    } catch {
      this.#alone = true
      return 'unknown'
    }
  }

  /** False if there was no room: then the memory starts empty, and proofs with its previous alone nonce are no longer accepted. */
  #rememberHere(id: string, until: number, now: number): boolean {
    // The map is in insertion order, so the oldest come first.
    if (this.#here.size >= this.#limit)
      for (const [old, end] of this.#here) {
        if (end > now) break
        this.#here.delete(old)
      }
    if (this.#here.size >= this.#limit) {
      this.#here.clear()
      this.#aloneSecret = this.#random(32)
      return false
    }
    this.#here.set(id, until)
    return true
  }
}
