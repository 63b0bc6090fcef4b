// The encoding of SSH (RFC 4251 §5).

/** A string: its length in four bytes, and its bytes. */
export function sshString(value: Uint8Array | string): Buffer {
  const bytes = Buffer.from(value as Uint8Array)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

export function uint64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(value)
  return bytes
}

/** Reads untrusted bytes. Each method gives undefined if the bytes end too early. */
export class SshReader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes)
  }

  bytes(length: number): Buffer | undefined {
    if (this.#at + length > this.#bytes.length) return undefined
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }

  string(): Buffer | undefined {
    const length = this.bytes(4)?.readUInt32BE()
    return length === undefined ? undefined : this.bytes(length)
  }

  /** A string of printable ASCII. */
  text(): string | undefined {
    const text = this.string()?.toString('latin1')
    return text !== undefined && /^[\x20-\x7e]*$/.test(text) ? text : undefined
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length
  }
}
