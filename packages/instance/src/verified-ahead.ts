import type { KeyRing } from '@bailiwick/credentials'

/** How many signatures are verified ahead of the event that is being folded: enough for every core, and little for other users of the pool. */
const ahead = 64

/**
 * Verifies the signatures of a batch in other threads, while the caller folds event after event in order. Each call answers for the next
 * message: whether its signature verified by a key that was known by then. Whether the key may sign there is judged at the event's own
 * place in the order. Never rejects.
 */
export function verifiedAhead(
  keyRing: Pick<KeyRing, 'verifyAhead'>,
  batch: readonly { bytes: Uint8Array }[],
): () => Promise<boolean> {
  const answers: Promise<boolean>[] = []
  let next = 0
  return async () => {
    for (const { bytes } of batch.slice(answers.length, next + ahead)) answers.push(keyRing.verifyAhead(bytes))
    return (await answers[next++]) ?? false
  }
}
