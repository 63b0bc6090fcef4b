import { hash } from 'node:crypto'
import type { Order, TreeFact } from '@bailiwick/projection'
import type { Chain } from './chain.ts'
import type { DoubledOutcome, OutcomeChain } from './outcome-links.ts'

export type Meta = { format: number; size: number; root: string }
export type Value =
  | number
  | string
  | string[]
  | Meta
  | Chain
  | Order
  | TreeFact
  | ActivityHour
  | OutcomeChain
  | DoubledOutcome
export type Key =
  | [
      kind:
        | 'leaf'
        | 'event'
        | 'chain'
        | 'beginning'
        | 'passed'
        | 'order'
        | 'fact'
        | 'told'
        | 'outcomes'
        | 'outcome'
        | 'doubled',
      hash: string,
    ]
  | [kind: 'void', index: number]
  | [kind: 'term', hash: string, at: number, index: number]
  | [kind: 'hour', hour: number, agentHash: string]
  | [kind: 'meta']

/** The version of the index's format. An index of another format is rebuilt. */
export const format = 8

/** How many calls of one agent, all its instances together, were allowed and denied in one hour. */
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
