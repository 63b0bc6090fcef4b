import type { Term } from '@bailiwick/contracts'

/** A term of every leaf, so that a search can use time alone. */
export const everyLeaf: Term = 'type *'
