export interface ChainEnd {
  source: string
  sequence: number
  /** base64url SHA-256 of the newest event's whole bytes. */
  hash: string
}

/** The newest event of each producer, by service: what a producer that starts names as its predecessor (DESIGN §4). */
export class Chains {
  readonly #bySource = new Map<string, ChainEnd & { at: number }>()

  /** `time` orders producers of one service: the one whose event is newest was last. */
  apply(source: string, sequence: number, hash: string, at: number): void {
    const known = this.#bySource.get(source)
    if (known && known.sequence >= sequence) return
    this.#bySource.set(source, { source, sequence, hash, at })
  }

  of(source: string): ChainEnd | undefined {
    return this.#bySource.get(source)
  }

  newestOf(service: string): ChainEnd | undefined {
    let newest: (ChainEnd & { at: number }) | undefined
    for (const end of this.#bySource.values())
      if (end.source.startsWith(`/${service}/`) && (!newest || end.at > newest.at)) newest = end
    return newest
  }

  /** Forgets producers that said nothing since `ms`, but never the newest of a service: whoever starts next names it (V15). */
  forgetBefore(ms: number): void {
    for (const [source, { at }] of this.#bySource) {
      if (at < ms && this.newestOf(serviceOf(source))?.source !== source) this.#bySource.delete(source)
    }
  }
}

/** A source is `/service/instance`. */
const serviceOf = (source: string) => source.split('/')[1] ?? ''
