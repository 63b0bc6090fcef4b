import { passkeyErrorText } from './passkey-trouble.ts'

/** The text that a person reads about an error. */
export function problemText(error: unknown): string {
  if (error instanceof DOMException) return passkeyErrorText(error)
  return error instanceof Error ? error.message : String(error)
}
