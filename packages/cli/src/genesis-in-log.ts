import type { DecodedEvent } from '@bailiwick/contracts'
import { KeyRing, type Trust } from '@bailiwick/credentials'
import { judgeByAnchor, RegistryState, signedEvent } from '@bailiwick/projection'
import { placeOf } from './recorded-log.ts'

/**
 * Checks that a log's registry begins with the whole genesis that trust.json signs (V3). If one of its rules were missing, fewer people
 * would have been asked to approve later changes. Pass it every entry, in order.
 */
export class GenesisInLog {
  readonly #trust: Trust
  readonly #keyRing: KeyRing
  readonly #registry: RegistryState

  constructor(trust: Trust) {
    this.#trust = trust
    this.#keyRing = new KeyRing(trust)
    this.#registry = new RegistryState(judgeByAnchor(this.#keyRing))
  }

  async take(entry: Uint8Array): Promise<void> {
    if (this.missing() === undefined) return
    const bytes = Uint8Array.from(entry)
    const place = placeOf(bytes)
    if (place?.topic !== 'registry.v1') return
    const read = signedEvent(this.#keyRing, { ...place, bytes, timestamp: place.at })
    if (typeof read !== 'string') await this.#registry.apply(read.event as DecodedEvent<'registry.v1'>)
  }

  /** Describes the problem. undefined: the genesis is whole, or an earlier version's trust.json does not sign it as a whole. */
  missing(): string | undefined {
    const signed = this.#trust.genesis?.count ?? 0
    const { taken } = this.#registry
    // The last entity counts only if all of them, in this order, are what trust.json signs.
    return taken >= signed
      ? undefined
      : `${taken} of the ${signed} entities that trust.json signs stand in it, in order`
  }
}
