import { otherSpellingOf, sha256 } from '@bailiwick/credentials'
import type { Verdict } from './verdict.ts'

/** More than any bus delivers twice; a version protects what changes state even beyond. */
const remembered = 100_000

/** Where an event stands in one order with others: what another topic or key says has no say there. */
export interface Place {
  topic: string
  key: string
}

/**
 * The ids of events that were folded lately, each with the hash of its bytes: the same again, also with the other spelling of its
 * signature, is one event; other bytes under its id have no effect. An id is
 * its topic's and key's own: readers meet topics in different orders, so a service that writes one topic could else make
 * an event of another void by putting its id on its own, for every reader that happens to read that one first.
 */
export class SeenEvents {
  readonly #hashes = new Map<string, string>()

  verdict(place: Place & { bytes: Uint8Array }, id: string, hash: string): Verdict | undefined {
    const seen = this.#hashes.get(nameOf(place, id))
    if (seen === undefined) return undefined
    if (seen === hash) return 'repeated'
    const other = otherSpellingOf(place.bytes)
    return other !== undefined && seen === sha256(other) ? 'repeated' : 'void'
  }

  remember(place: Place, id: string, hash: string): void {
    const name = nameOf(place, id)
    if (this.#hashes.has(name)) return
    this.#hashes.set(name, hash)
    if (this.#hashes.size > remembered) this.#hashes.delete(this.#hashes.keys().next().value ?? name)
  }
}

/** An event id has no space in it, and neither has a topic. */
const nameOf = ({ topic, key }: Place, id: string) => `${topic} ${id} ${key}`
