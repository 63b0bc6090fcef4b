/** A line of git's protocol (gitprotocol-common), without its length, or one of the packets that have no content. */
export type Packet = Buffer | 'flush' | 'delimiter'

/** The longest packet, with its four digits (gitprotocol-common). */
const longest = 65_520

/** `more`: the packet is not whole yet. `malformed`: no bytes that may follow make it one. */
export type PacketRead = { packet: Packet; end: number } | 'more' | 'malformed'

/**
 * Reads the packet at an offset. Lengths are four digits in lower case, as git writes them: a server may read others in another way. A
 * packet without content (`0004`) is refused, as is the end of a response (`0002`), which no request has.
 */
export function readPacket(bytes: Buffer, at: number): PacketRead {
  const digits = bytes.toString('latin1', at, at + 4)
  if (!/^[0-9a-f]{0,4}$/.test(digits)) return 'malformed'
  if (digits.length < 4) return 'more'
  if (digits === '0000') return { packet: 'flush', end: at + 4 }
  if (digits === '0001') return { packet: 'delimiter', end: at + 4 }
  const length = Number.parseInt(digits, 16)
  if (length < 5 || length > longest) return 'malformed'
  if (bytes.length < at + length) return 'more'
  return { packet: bytes.subarray(at + 4, at + length), end: at + length }
}

/** All packets of a whole request; undefined if it does not consist of packets. */
export function readPackets(bytes: Buffer): Packet[] | undefined {
  const packets: Packet[] = []
  for (let at = 0; at < bytes.length; ) {
    const read = readPacket(bytes, at)
    if (typeof read === 'string') return undefined
    packets.push(read.packet)
    at = read.end
  }
  return packets
}

/** The text of a line, without the one line feed that may end it; undefined if it has bytes other than visible ASCII, spaces and `allowed`. */
export function lineOf(packet: Packet | undefined, allowed = ''): string | undefined {
  if (!Buffer.isBuffer(packet)) return undefined
  const text = packet.toString('latin1').replace(/\n$/, '')
  return [...text].every((sign) => (sign >= ' ' && sign <= '~') || allowed.includes(sign)) ? text : undefined
}

/** One line as a packet. */
export function packetOf(content: string | Uint8Array): Buffer {
  const bytes = Buffer.from(content as string)
  return Buffer.concat([Buffer.from((bytes.length + 4).toString(16).padStart(4, '0')), bytes])
}

export const flushPacket: Buffer = Buffer.from('0000')
