/** The requests of the inbox in the order in which they were last listed, so that the next one follows an answer. */
let queue: readonly string[] = []

export function setQueue(ids: readonly string[]): void {
  queue = ids
}

/** The request `by` places further in the inbox; undefined at its ends, and for a request that was not listed. */
export function neighbour(id: string, by: 1 | -1): string | undefined {
  const at = queue.indexOf(id)
  return at < 0 ? undefined : queue[at + by]
}

/** Takes an answered request out. Returns the one that follows it, else the one before it. */
export function takeNext(id: string): string | undefined {
  const next = neighbour(id, 1) ?? neighbour(id, -1)
  queue = queue.filter((each) => each !== id)
  return next
}
