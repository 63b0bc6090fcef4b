import { useSyncExternalStore } from 'react'

let prompt: AbortController | undefined
const listeners = new Set<() => void>()

function show(next: AbortController | undefined): void {
  prompt = next
  for (const listener of listeners) listener()
}

/** Runs one WebAuthn ceremony. While it waits for the person, `abandonPasskey` ends it; rejects with `AbortError` then. */
export async function askPasskey<T>(ceremony: (signal: AbortSignal) => Promise<T>): Promise<T> {
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

/** Ends the ceremony that waits for a person, if one does: then nothing was signed, and nothing is sent. Gives whether one did. */
export function abandonPasskey(): boolean {
  const waits = prompt !== undefined
  prompt?.abort()
  return waits
}

/** Whether the browser waits for a person now. What the page waits for besides is the server. */
export function usePasskeyPrompt(): boolean {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => prompt !== undefined,
  )
}

/** What a button says while the work that it began goes on. */
export const busyWords = (prompted: boolean) => (prompted ? 'Waiting for your passkey …' : 'Waiting for the server …')
