import { useSyncExternalStore } from 'react'
import { here, passkeyTrouble } from './passkey-trouble.ts'

let prompt: AbortController | undefined
const listeners = new Set<() => void>()

function show(next: AbortController | undefined): void {
  prompt = next
  for (const listener of listeners) listener()
}

/** Runs one WebAuthn ceremony. While it waits for the person, `abandonPasskey` ends it, and it rejects with `AbortError`. */
export async function askPasskey<T>(ceremony: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const trouble = passkeyTrouble(location.hostname, here())
  if (trouble !== undefined) throw new Error(trouble)
  const asked = new AbortController()
  show(asked)
  try {
    const answer = await ceremony(asked.signal)
    asked.signal.throwIfAborted()
    return answer
  } finally {
    if (prompt === asked) show(undefined)
  }
}

/** Ends a ceremony that waits for a person, if there is one: nothing is signed or sent then. Returns whether there was one. */
export function abandonPasskey(): boolean {
  const waits = prompt !== undefined
  prompt?.abort()
  return waits
}

/** Whether the browser waits for a person now. Otherwise the page waits for the server. */
export function usePasskeyPrompt(): boolean {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => prompt !== undefined,
  )
}

/** A button's text while the work that it started continues. */
export const busyWords = (prompted: boolean) => (prompted ? 'Waiting for your passkey …' : 'Waiting for the server …')
