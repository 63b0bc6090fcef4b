import { hash } from 'node:crypto'

const mostKnown = 4096

/**
 * The newest signatures that this process made, or found to be valid. Checking one again costs thirty times as much as a look-up here. An
 * invalid signature is never kept.
 */
export class KnownSignatures {
  readonly #names = new Set<string>()
  readonly #most: number

  constructor(most = mostKnown) {
    this.#most = most
  }

  /** `kid`: the thumbprint of the key. */
  has(kid: string, data: Uint8Array, signature: Uint8Array): boolean {
    return this.#names.has(nameOf(kid, data, signature))
  }

  add(kid: string, data: Uint8Array, signature: Uint8Array): void {
    this.#names.add(nameOf(kid, data, signature))
    if (this.#names.size > this.#most) for (const oldest of this.#names.values()) return void this.#names.delete(oldest)
  }
}

/** Names the key, every byte of the signature, and all that was signed. */
const nameOf = (kid: string, data: Uint8Array, signature: Uint8Array): string =>
  `${kid} ${Buffer.from(signature).toString('base64url')} ${hash('sha256', data, 'base64url')}`
