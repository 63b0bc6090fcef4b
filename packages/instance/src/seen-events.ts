import { otherSpellingOf, sha256 } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import type { Row, Verdict } from '@bailiwick/projection'

/** More than any bus delivers twice. Beyond that, versions protect everything that changes state. */
const remembered = 100_000

/** The topic and key of an event. Ids on another topic or key do not matter for it. */
export interface Place {
  topic: string
  key: string
}

/**
 * The ids of recently folded events, each with the hash of its bytes. The same bytes again are the same event, also with the signature's
 * other encoding; other bytes under that id have no effect. An id is scoped to its topic and key. Otherwise, because readers meet
 * topics in different orders, a service that writes one topic could void an event of another topic by using that event's id on its
 * own topic, for every reader that happens to read that one first.
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

  /** The events that it remembers now, oldest first, except those of these topics. */
  cut(except: ReadonlySet<string>): Iterable<Row> {
    const [names, hashes] = [[...this.#hashes.keys()], [...this.#hashes.values()]]
    return (function* rows(): Generator<Row> {
      for (const [n, name] of names.entries())
        if (!except.has(name.slice(0, name.indexOf(' ')))) yield [kind, name, hashes[n]]
    })()
  }

  /** Takes a row of a cut, if the row is its own. */
  restore([of, name, hash]: Row): boolean {
    if (of !== kind) return false
    if (typeof name !== 'string' || typeof hash !== 'string')
      throw new ServiceError('invariant_broken', "a cut's row of kind seen has no name and hash")
    this.#hashes.set(name, hash)
    return true
  }
}

/** The kind of its rows in a cut. */
const kind = 'seen'

/** Unambiguous: neither an event id nor a topic contains a space. */
const nameOf = ({ topic, key }: Place, id: string) => `${topic} ${id} ${key}`
