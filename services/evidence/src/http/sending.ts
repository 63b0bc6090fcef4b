import type { ServerResponse } from 'node:http'
import { ServiceError } from '@bailiwick/errors'
import { networkOf } from '@bailiwick/host'
import { Semaphore } from '@bailiwick/kit'

/** Bytes that may be on their way at once. */
export interface SendingLimits {
  caller: number
  all: number
}

/** A bundle of 256 entries has up to 16 MiB. They stay in memory until the reader has them, or is cut off because it takes too long. */
const strangers: SendingLimits = { caller: 16 << 20, all: 64 << 20 }
/** Any user who may open the operator's socket may read the files, too. */
export const everything: SendingLimits = { caller: Number.POSITIVE_INFINITY, all: Number.POSITIVE_INFINITY }
const atOnce = 2
const mostWaiting = 1000

/**
 * Limits the bytes that are kept in memory for slow readers, per caller and for all callers (V18). A caller with no file under way always
 * gets one, however large it is.
 */
export class Sending {
  readonly #limits: SendingLimits
  readonly #reads = new Semaphore(atOnce, mostWaiting)
  readonly #byCaller = new Map<string, number>()
  #all = 0

  constructor(limits: SendingLimits = strangers) {
    this.#limits = limits
  }

  /** Returns what `read` gives, and counts its bytes until `response` is over. Throws `rate_limited`. */
  async read(
    caller: string,
    response: Pick<ServerResponse, 'once'>,
    read: () => Promise<Uint8Array | undefined>,
  ): Promise<Uint8Array | undefined> {
    let release = () => {}
    let over = false
    // Before the first wait, so that a caller that hangs up meanwhile holds no bytes.
    response.once('close', () => {
      over = true
      release()
    })
    return this.#reads.run(async () => {
      this.#assertRoom(caller, 1)
      const bytes = await read()
      if (bytes === undefined || over) return bytes
      this.#assertRoom(caller, bytes.length)
      this.#add(caller, bytes.length)
      release = () => this.#add(caller, -bytes.length)
      return bytes
    })
  }

  #assertRoom(caller: string, bytes: number): void {
    const own = this.#byCaller.get(networkOf(caller)) ?? 0
    const fits = (has: number, most: number) => has === 0 || has + bytes <= most
    if (fits(own, this.#limits.caller) && fits(this.#all, this.#limits.all)) return
    throw new ServiceError('rate_limited', 'what was asked for before is not read yet', { retryAfterSeconds: 1 })
  }

  #add(caller: string, bytes: number): void {
    const network = networkOf(caller)
    const own = (this.#byCaller.get(network) ?? 0) + bytes
    if (own === 0) this.#byCaller.delete(network)
    else this.#byCaller.set(network, own)
    this.#all += bytes
  }
}
