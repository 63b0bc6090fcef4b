import { ServiceError } from '@bailiwick/errors'
import type { CheckParseAnswer, DetailedError } from '@cedar-policy/cedar-wasm/nodejs'

/** `config_invalid`, with the file and the reason, in one line. */
export function invalid(where: string, why = 'not valid'): ServiceError {
  return new ServiceError('config_invalid', `policies: ${where}: ${why.replace(/\s+/g, ' ').slice(0, 300).trim()}`)
}

/** Cedar's first error, with its line; its offsets are bytes of `text`. */
export function invalidText(file: string, text: string, [error]: readonly DetailedError[]): ServiceError {
  const [place] = error?.sourceLocations ?? []
  if (error === undefined || place === undefined) return invalid(file, error?.message)
  const line = Buffer.from(text).subarray(0, place.start).toString().split('\n').length
  return invalid(file, `line ${line}: ${error.message}${place.label === null ? '' : ` (${place.label})`}`)
}

export function requireParsed(where: string, answer: CheckParseAnswer): void {
  if (answer.type === 'failure') throw invalid(where, answer.errors[0]?.message)
}
