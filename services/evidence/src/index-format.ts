import { hash } from 'node:crypto'
import type { Order, Standing } from '@bailiwick/projection'

/**
 * What the log has of a producer's numbers: all up to `whole`, and above it those from one to another, both included, in order. As
 * ranges, since behind a number that never comes stands all that follows.
 */
export interface Chain {
  whole: number
  ahead: readonly (readonly [from: number, to: number])[]
}

export type Meta = { format: number; size: number; root: string }
export type Value = number | string | string[] | Meta | Chain | Order | Standing | ActivityHour
export type Key =
  | [kind: 'leaf' | 'event' | 'chain' | 'beginning' | 'passed' | 'order' | 'standing', hash: string]
  | [kind: 'void', index: number]
  | [kind: 'term', hash: string, at: number, index: number]
  | [kind: 'hour', hour: number, agentHash: string]
  | [kind: 'meta']

/** What is kept, and how. An index of another format is made again. */
export const format = 6

/** What one agent, all its instances together, was told in one hour. */
export interface ActivityHour {
  agent: string
  /** Hours since the epoch. */
  hour: number
  allowed: number
  denied: number
}

/** Names are up to 2,100 characters and callers choose some of them; an lmdb key has at most 1,978 bytes. */
export function keyOf(name: string): string {
  return hash('sha256', name, 'base64url').slice(0, 22)
}
