import type { Columns, Row } from './cut/row.ts'

export interface ChainEnd {
  source: string
  sequence: number
  /** base64url SHA-256 of the newest event's whole bytes. */
  hash: string
}

/**
 * The newest event of each service. A starting producer names it as its predecessor (DESIGN §4). Other producers are not kept: a thief of
 * a service's key can name as many of them as it likes (V18). No service is forgotten, however long it was silent (V15).
 */
export class Chains {
  readonly #newest = new Map<string, ChainEnd & { at: number }>()

  /**
   * `at` (ms since the epoch) orders a service's producers; the one with the newest event is last. Each producer numbers its own events.
   */
  apply(source: string, sequence: number, hash: string, at: number): void {
    const service = serviceOf(source)
    const known = this.#newest.get(service)
    if (known && (known.source === source ? known.sequence >= sequence : known.at >= at)) return
    this.#newest.set(service, { source, sequence, hash, at })
  }

  /** Its state as it is now. */
  cut(): Iterable<Row> {
    const services = [...this.#newest].sort(([a], [b]) => (a < b ? -1 : 1))
    return services.map(([, { source, sequence, hash, at }]) => ['chain', source, sequence, hash, at] as const)
  }

  /** What was read of a service elsewhere may be newer. */
  restore(columns: Columns): void {
    this.apply(columns.text(), columns.whole(), columns.text(), columns.whole())
  }

  newestOf(service: string): ChainEnd | undefined {
    return this.#newest.get(service)
  }
}

/** A source is `/service/instance`. */
const serviceOf = (source: string) => source.split('/')[1] ?? ''
