import { sha256 } from '@bailiwick/credentials'
import type { Verdict } from './verdict.ts'

/** More than any bus delivers twice; a version protects what changes state even beyond. */
const remembered = 100_000

/** The ids of events that were folded lately: the same again is one event, other bytes under its id have no effect. */
export class SeenEvents {
  readonly #hashes = new Map<string, string>()

  verdict(id: string, bytes: Uint8Array): Verdict | undefined {
    const seen = this.#hashes.get(id)
    return seen === undefined ? undefined : seen === sha256(bytes) ? 'repeated' : 'void'
  }

  remember(id: string, bytes: Uint8Array): void {
    if (this.#hashes.has(id)) return
    this.#hashes.set(id, sha256(bytes))
    if (this.#hashes.size > remembered) this.#hashes.delete(this.#hashes.keys().next().value ?? id)
  }
}
