import { passkeyErrorText } from './passkey-trouble.ts'

/** What went wrong, in words. */
export function problemText(error: unknown): string {
  if (error instanceof DOMException) return passkeyErrorText(error)
  return error instanceof Error ? error.message : String(error)
}
