import { createHmac } from 'node:crypto'
import type { GrantStore } from '@bailiwick/grant-store'
import type { Clock, RandomSource } from '@bailiwick/service-kit'

export const proofMaxAgeMs = 60_000
export const proofLeewayMs = 5000
const windowMs = 5 * 60 * 1000
const rememberedHere = 200_000

export type ProofVerdict = 'accepted' | 'replayed' | 'nonce_required'

/**
 * Counts each proof once (V10). The shared store remembers for all instances; its loss is noticed by its epoch, and from then
 * on a proof counts only with a nonce that this instance made since, whose replays its own memory knows (DESIGN §5).
 */
export class Proofs {
  readonly #store: GrantStore
  readonly #clock: Clock
  readonly #random: RandomSource
  readonly #here = new Map<string, number>()
  #secret: Uint8Array
  /** Proofs made before this moment (ms since the epoch) may have been seen by a memory that is lost. */
  #lostUntil: number

  constructor(store: GrantStore, clock: Clock, random: RandomSource) {
    this.#store = store
    this.#clock = clock
    this.#random = random
    this.#secret = random(32)
    this.#lostUntil = clock.now()
  }

  /** The memory may have lost something: from now on old proofs need a nonce, and old nonces are dead. */
  lost(): void {
    this.#secret = this.#random(32)
    this.#lostUntil = this.#clock.now() + proofLeewayMs
  }

  /** Take the store as it is; called at start and whenever it says that it is another. */
  async adopt(): Promise<void> {
    this.lost()
    await this.#store.adopt()
  }

  nonce(): string {
    return this.#nonceOf(Math.floor(this.#clock.monotonic() / windowMs))
  }

  #nonceOf(window: number): string {
    return createHmac('sha256', this.#secret).update(`dpop ${window}`).digest('base64url')
  }

  #isOurs(nonce: string | undefined): boolean {
    const window = Math.floor(this.#clock.monotonic() / windowMs)
    return nonce !== undefined && (nonce === this.#nonceOf(window) || nonce === this.#nonceOf(window - 1))
  }

  /** `id` names the proof: its key and jti. */
  async accept(id: string, madeAt: number, nonce: string | undefined): Promise<ProofVerdict> {
    const now = this.#clock.now()
    const ours = this.#isOurs(nonce)
    // Whole seconds: a proof of the second in which the memory was lost may be from before it.
    if (!ours && madeAt <= this.#lostUntil) return 'nonce_required'
    if ((this.#here.get(id) ?? 0) > now) return 'replayed'
    const until = now + proofMaxAgeMs + 2 * proofLeewayMs
    this.#rememberHere(id, until, now)
    const shared = await this.#store.remember(id, now, until).catch(() => 'unavailable' as const)
    if (shared === true) return 'accepted'
    if (shared === false) return 'replayed'
    if (shared === undefined) await this.adopt().catch(() => undefined)
    return ours ? 'accepted' : 'nonce_required'
  }

  #rememberHere(id: string, until: number, now: number): void {
    // The oldest first. Without room for what still counts, the oldest goes: the shared store has it too.
    if (this.#here.size >= rememberedHere)
      for (const [old, end] of this.#here) {
        if (end > now && this.#here.size < rememberedHere) break
        this.#here.delete(old)
      }
    this.#here.set(id, until)
  }
}
