import { ServiceError } from '@bailiwick/errors'
import type { CheckParseAnswer } from '@cedar-policy/cedar-wasm/nodejs'

/** `config_invalid`, naming the file and why. */
export function invalid(where: string, why = 'not valid'): ServiceError {
  return new ServiceError('config_invalid', `policies: ${where}: ${why.slice(0, 300)}`)
}

export function requireParsed(where: string, answer: CheckParseAnswer): void {
  if (answer.type === 'failure') throw invalid(where, answer.errors[0]?.message)
}
