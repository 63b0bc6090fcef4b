import { Duplex } from 'node:stream'

/** What the addresses of a connection are, as far as a server asks. */
export interface Peer {
  readonly remoteAddress: string | undefined
  readonly remotePort: number | undefined
  readonly isEncrypted: boolean
}

/** A reader gets this many bytes at once, and takes the next ones when it is ready. */
const mostAtOnce = 16_384

/** One end of a connection in memory. A server of HTTP can take it in place of a socket. */
export class ConnectionEnd extends Duplex {
  remoteAddress: string | undefined
  remotePort: number | undefined
  /** Only if what it carries came over TLS: readers ask whether the member is there. */
  declare encrypted?: true
  #other: ConnectionEnd | undefined
  /** Tells the other end that what it wrote was taken. */
  #taken: (() => void) | undefined
  #silence: NodeJS.Timeout | undefined

  /**
   * The two ends of one connection. The second one says that it comes from `peer`. The first one takes nothing in advance: what its reader
   * does not read, the writer still holds, and waits.
   */
  static pair({ remoteAddress, remotePort, isEncrypted }: Peer): [near: ConnectionEnd, far: ConnectionEnd] {
    const [near, far] = [new ConnectionEnd({ readableHighWaterMark: 0 }), new ConnectionEnd()]
    near.#other = far
    far.#other = near
    Object.assign(far, { remoteAddress, remotePort, ...(isEncrypted ? { encrypted: true } : {}) })
    return [near, far]
  }

  /** As of a socket: 'timeout' is emitted once it was silent for so long. 0: never. */
  setTimeout(ms: number): this {
    clearTimeout(this.#silence)
    this.#silence = ms === 0 || this.destroyed ? undefined : setTimeout(() => this.emit('timeout'), ms).unref()
    return this
  }

  /** As of a socket: ends it once all bytes are taken. */
  destroySoon(): void {
    this.end()
    if (this.writableFinished) this.destroy()
    else this.once('finish', () => this.destroy())
  }

  override _read(): void {
    this.#silence?.refresh()
    const taken = this.#taken
    this.#taken = undefined
    taken?.()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#silence?.refresh()
    // Nothing would be read of it, and so nothing taken.
    if (chunk.length === 0) return void process.nextTick(done)
    let given = 0
    const give = () => {
      const other = this.#other
      if (given >= chunk.length) return done()
      if (other === undefined || other.destroyed) return
      const part = chunk.subarray(given, given + mostAtOnce)
      given += part.length
      other.#silence?.refresh()
      other.#taken = () => {
        this.#silence?.refresh()
        give()
      }
      other.push(part)
    }
    give()
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#other?.push(null)
    done()
  }

  /** An end that did not say its last word takes the other one with it: a part must not pass for the whole. */
  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearTimeout(this.#silence)
    // Later, so that what was taken in this turn counts as written.
    if (!this.writableFinished) setImmediate(() => this.#other?.destroy())
    done(error)
  }
}
