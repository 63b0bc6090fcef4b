import type { DecodedEvent } from '@bailiwick/contracts'
import { KeyRing, type Trust } from '@bailiwick/credentials'
import { judgeByAnchor, RegistryState } from '@bailiwick/projection'
import type { LogEntry } from './read-log.ts'
import { signedLeaf } from './signed-leaf.ts'

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

  async take({ bytes }: LogEntry): Promise<void> {
    if (this.missing() === undefined) return
    const read = signedLeaf(this.#keyRing, bytes, ['registry.v1'])
    if (typeof read === 'object') await this.#registry.apply(read.event as DecodedEvent<'registry.v1'>)
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
