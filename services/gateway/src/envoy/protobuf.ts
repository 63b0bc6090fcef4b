import { ServiceError } from '@bailiwick/errors'

/*
 * Protocol Buffers on the wire, as far as Envoy's messages need them (decision 79). Other readers take the last of two values of one field,
 * and merge two messages. This one refuses them: what two programs could read differently is not decided about.
 */

/** A field of a message: what its bytes are, before anything says what they mean. */
type Value = bigint | Uint8Array

/** The fields of a message that were asked for, by number, in order. Throws `request_malformed`. */
export class Message {
  readonly #fields = new Map<number, Value[]>()

  /** Skips all fields but those in `numbers`: a newer Envoy sends more. */
  constructor(bytes: Uint8Array, numbers: readonly number[]) {
    const wanted = new Set(numbers)
    let at = 0
    while (at < bytes.length) {
      const [tag, afterTag] = varint(bytes, at)
      const number = Number(tag >> 3n)
      if (number < 1 || number > mostNumber) throw malformed('a field without a number')
      const [value, next] = valueAt(bytes, afterTag, Number(tag & 7n))
      at = next
      if (!wanted.has(number)) continue
      const known = this.#fields.get(number)
      if (known === undefined) this.#fields.set(number, [value])
      else known.push(value)
    }
  }

  /** Of a field that is repeated. */
  all(number: number): readonly Uint8Array[] {
    return (this.#fields.get(number) ?? []).map(asBytes)
  }

  /** Of a field that comes at most once. */
  bytes(number: number): Uint8Array | undefined {
    const value = this.#one(number)
    return value === undefined ? undefined : asBytes(value)
  }

  /** Empty if it is absent, as everywhere in this format. */
  text(number: number): string {
    return textOf(this.bytes(number) ?? new Uint8Array())
  }

  message(number: number, numbers: readonly number[]): Message | undefined {
    const bytes = this.bytes(number)
    return bytes === undefined ? undefined : new Message(bytes, numbers)
  }

  /** An integer as sent: a negative one has 64 bits. */
  integer(number: number): bigint {
    const value = this.#one(number) ?? 0n
    if (typeof value !== 'bigint') throw malformed('bytes in place of an integer')
    return value
  }

  has(number: number): boolean {
    return this.#fields.has(number)
  }

  #one(number: number): Value | undefined {
    const [value, ...more] = this.#fields.get(number) ?? []
    if (more.length > 0) throw malformed(`field ${number} twice`)
    return value
  }
}

/** The value of a key in a `map<string, …>`, whose entries are messages. Throws if the key comes twice. */
export function valueIn(entries: readonly Uint8Array[], key: string): Uint8Array | undefined {
  const found = entries
    .map((bytes) => new Message(bytes, [1, 2]))
    .filter((entry) => entry.text(1) === key)
    .map((entry) => entry.bytes(2) ?? new Uint8Array())
  if (found.length > 1) throw malformed('a key twice')
  return found[0]
}

const mostNumber = 2 ** 29 - 1
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function textOf(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes)
  } catch {
    throw malformed('text that is not UTF-8')
  }
}

function asBytes(value: Value): Uint8Array {
  if (typeof value === 'bigint') throw malformed('an integer in place of bytes')
  return value
}

/** A value of a wire type, and where the next field begins. Groups (3 and 4) are in no message of Envoy. */
function valueAt(bytes: Uint8Array, at: number, type: number): [Value, number] {
  if (type === 0) return varint(bytes, at)
  if (type !== 1 && type !== 2 && type !== 5) throw malformed('a wire type that is not used')
  const [length, start] = type === 2 ? varint(bytes, at) : ([type === 1 ? 8n : 4n, at] as const)
  if (length > BigInt(bytes.length - start)) throw malformed('a length beyond the end')
  const end = start + Number(length)
  return [bytes.subarray(start, end), end]
}

/** At most ten bytes, and 64 bits. */
function varint(bytes: Uint8Array, at: number): [bigint, number] {
  let value = 0n
  for (let n = 0; n < 10; n++) {
    const byte = bytes[at + n]
    if (byte === undefined) throw malformed('an integer beyond the end')
    value |= BigInt(byte & 0x7f) << BigInt(7 * n)
    if (byte > 0x7f) continue
    if (value > 0xffff_ffff_ffff_ffffn) break
    return [value, at + n + 1]
  }
  throw malformed('an integer of more than 64 bits')
}

const malformed = (detail: string) => new ServiceError('request_malformed', `protobuf: ${detail}`)

/** A field with an integer. Zero is written too, so that a reader needs no default. */
export const integerField = (number: number, value: number): Buffer =>
  Buffer.concat([varintOf(number * 8), varintOf(value)])

/** A field with text, bytes or a message. */
export function field(number: number, ...content: readonly (string | Uint8Array)[]): Buffer {
  const bytes = Buffer.concat(content.map((each) => (typeof each === 'string' ? Buffer.from(each) : each)))
  return Buffer.concat([varintOf(number * 8 + 2), varintOf(bytes.length), bytes])
}

function varintOf(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80)
  return Buffer.from([...bytes, rest])
}
