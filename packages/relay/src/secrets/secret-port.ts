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
   * The current value. It is read again after a bounded time, so that a rotated secret comes into use without a restart: a file after one
   * second, all others after half a minute. Rejects with
   * `secret_unavailable`: the message names the reference, never a value, and never the output of a command or server. If a secret cannot
   * be read again, its last value is used for a bounded time, and then no longer.
   */
  read(reference: string): Promise<Secret>
  /**
   * The upstream refused the value. It may have been rotated, so the next `read` looks again: in a file always, elsewhere once a second at
   * most. Where the value was the same, no doubt counts for half a minute.
   */
  doubt(reference: string): void
  /** Throws `config_invalid` for a reference that can never be read: an unknown scheme, or a scheme that is not set up here. */
  check(reference: string): void
}
