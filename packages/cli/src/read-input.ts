import { createReadStream, readFileSync, statSync } from 'node:fs'
import { ServiceError } from '@bailiwick/errors'

/** Reads a file that a person named. Throws `config_invalid` with the option that named it. */
export function readInput(option: string, path: string, maxBytes: number): Buffer {
  try {
    if (statSync(path).size > maxBytes) throw new ServiceError('config_invalid', `${option}: ${path} is too large`)
    return readFileSync(path)
  } catch (cause) {
    if (cause instanceof ServiceError) throw cause
    throw unreadable(option, path, cause)
  }
}

/** The same for a file of any size, in chunks. */
export async function* streamInput(option: string, path: string): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(path)
  } catch (cause) {
    throw unreadable(option, path, cause)
  }
}

const unreadable = (option: string, path: string, cause: unknown) =>
  new ServiceError('config_invalid', `${option}: cannot read ${path} (${codeOf(cause)})`, { cause })

function codeOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : 'unknown error'
}
