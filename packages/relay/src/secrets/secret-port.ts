import { inspect } from 'node:util'

/**
 * A secret of an upstream. Only `reveal` gives it; a log, an error, an event or `JSON.stringify` that gets the object by mistake shows
 * `[secret]`.
 */
export class Secret {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
  }

  /** Call it where the bytes for the upstream are made, and keep the result nowhere. */
  reveal(): string {
    return this.#value
  }

  toString(): string {
    return '[secret]'
  }

  toJSON(): string {
    return '[secret]'
  }

  [inspect.custom](): string {
    return '[secret]'
  }
}

/** Where secrets come from: `file:PATH`, `env:NAME`, `exec:COMMAND ARGUMENT…`, `vault:MOUNT/PATH#FIELD`. */
export interface SecretPort {
  /**
   * The present value. It is read again after a bounded time, so that a rotated secret comes into use without a restart. Rejects with
   * `secret_unavailable`: the message names the reference, never a value, and never what a command or a server printed. If a secret cannot
   * be read again, the last value counts for a bounded time, and then no more.
   */
  read(reference: string): Promise<Secret>
  /** Throws `config_invalid` for a reference that can never be read: an unknown scheme, or a scheme that is not set up here. */
  check(reference: string): void
}
