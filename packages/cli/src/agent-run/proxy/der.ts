/** One element of DER (X.690 §8.1, §10.1): its tag, its length, and its content. */
export function element(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts)
  return Buffer.concat([Buffer.from([tag]), lengthOf(content.length), content])
}

function lengthOf(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length])
  const bytes = Buffer.from([length >>> 16, (length >>> 8) & 0xff, length & 0xff])
  const first = bytes.findIndex((byte) => byte !== 0)
  return Buffer.concat([Buffer.from([0x80 + bytes.length - first]), bytes.subarray(first)])
}

export const sequence = (...parts: readonly Uint8Array[]): Buffer => element(0x30, ...parts)
export const set = (...parts: readonly Uint8Array[]): Buffer => element(0x31, ...parts)
export const octets = (...parts: readonly Uint8Array[]): Buffer => element(0x04, ...parts)
/** `unused`: bits at the end of the last byte that are not part of it. */
export const bits = (content: Uint8Array, unused = 0): Buffer => element(0x03, Buffer.from([unused]), content)
export const utf8 = (text: string): Buffer => element(0x0c, Buffer.from(text))
export const isTrue: Buffer = element(0x01, Buffer.from([0xff]))

/** A number that is not negative, from its bytes, the highest first. */
export function integer(bytes: Uint8Array): Buffer {
  const first = bytes.findIndex((byte) => byte !== 0)
  const least = first < 0 ? Buffer.from([0]) : Buffer.from(bytes.subarray(first))
  return element(0x02, ...((least[0] ?? 0) >= 0x80 ? [Buffer.from([0])] : []), least)
}

export function objectId(dotted: string): Buffer {
  const [one = 0, two = 0, ...rest] = dotted.split('.').map(Number)
  return element(0x06, Buffer.from([one * 40 + two, ...rest.flatMap(base128)]))
}

function base128(number: number): number[] {
  const digits = [number & 0x7f]
  for (let left = number >>> 7; left > 0; left >>>= 7) digits.unshift((left & 0x7f) | 0x80)
  return digits
}

/** A time of RFC 5280 §4.1.2.5: two digits of the year until 2049. `at`: ms since the epoch. */
export function time(at: number): Buffer {
  const text = new Date(at).toISOString().replace(/[-T:]|\.\d+/g, '')
  return text < '2050' ? element(0x17, Buffer.from(text.slice(2))) : element(0x18, Buffer.from(text))
}

/** `[n]` around other elements, or in place of the tag of one. */
export const explicit = (n: number, ...parts: readonly Uint8Array[]): Buffer => element(0xa0 | n, ...parts)
export const implicit = (n: number, content: Uint8Array): Buffer => element(0x80 | n, content)
