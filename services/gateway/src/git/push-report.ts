import { GatheredBytes } from '@bailiwick/kit'
import { type Packet, readPackets } from './pkt-line.ts'

/** A longer answer to a push is passed on, but not read. */
const mostRead = 1_048_576

/** Reads what a git server says of a push (`report-status`), while the answer passes: a push that a hook refuses is answered with 200. */
export class PushReport {
  readonly #isBanded: boolean
  readonly #read = new GatheredBytes()
  #length = 0

  constructor(capabilities: readonly string[]) {
    this.#isBanded = capabilities.includes('side-band-64k')
  }

  see(chunk: Uint8Array): void {
    this.#length += chunk.length
    if (this.#length <= mostRead) this.#read.push(chunk)
  }

  /** Whether the ref was not changed; undefined if the answer does not say so, or was too long. */
  failed(): boolean | undefined {
    const lines = this.#length > mostRead ? undefined : this.#lines()
    if (lines === undefined) return undefined
    if (lines.some((line) => line.startsWith('ng ') || (line.startsWith('unpack ') && line !== 'unpack ok')))
      return true
    return lines.includes('unpack ok') && lines.some((line) => line.startsWith('ok ')) ? false : undefined
  }

  #lines(): string[] | undefined {
    const packets = readPackets(this.#read.bytes())
    const own = this.#isBanded && packets !== undefined ? readPackets(bandOne(packets)) : packets
    return own?.flatMap((packet) => (Buffer.isBuffer(packet) ? [packet.toString('latin1').replace(/\n$/, '')] : []))
  }
}

const bandOne = (packets: readonly Packet[]): Buffer =>
  Buffer.concat(packets.flatMap((packet) => (Buffer.isBuffer(packet) && packet[0] === 1 ? [packet.subarray(1)] : [])))
