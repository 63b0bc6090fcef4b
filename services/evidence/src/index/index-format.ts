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
  | TouchedHour
  | CallRecord
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
        | 'doubled'
        | 'call',
      hash: string,
    ]
  | [kind: 'void', index: number]
  | [kind: 'term', hash: string, at: number, index: number]
  | [kind: 'hour', hour: number, agentHash: string]
  | [kind: 'touched', agentHash: string, hour: number, thingHash: string]
  | [kind: 'meta']

/** The version of the index's format. An index of another format is rebuilt. */
export const format = 10

/** How many calls of one agent, all its instances together, were allowed and denied in one hour. First tries without a nonce are not among them. */
export interface ActivityHour {
  agent: string
  /** Hours since the epoch. */
  hour: number
  allowed: number
  denied: number
}

/** What one agent did with one resource by one action in one hour, or was denied. */
export interface TouchedHour {
  agent: string
  /** Hours since the epoch. */
  hour: number
  /** The agent that acted, if it acted for this one. */
  through?: string
  action?: string
  type?: string
  resource?: string
  /** A tool's declared mapping made it of the call. */
  mapped?: true
  /** Calls. Without ALLOWs that were taken back, and without the further rounds of a call. */
  allowed: number
  denied: number
  /** Denials by their reason. */
  reasons: Record<string, number>
  /** How its ALLOWs ended, by the status of the outcome; `missing` and `taken_back` too. */
  outcomes: Record<string, number>
  /** What its calls took, less what their outcomes gave back. */
  cost: Readonly<Record<string, string>>
  /** ms since the epoch: of the newest decision. */
  last: number
}

/** An ALLOW, by its decision. */
export interface CallRecord {
  hour: number
  /** The rows that it counts in: the hashes of agent and thing. */
  rows: readonly (readonly [agentHash: string, thingHash: string])[]
  /** What it took, less what its outcome gave back. */
  cost: Readonly<Record<string, string>>
  continues?: boolean
  /** The status of its outcome, `missing` or `taken_back`; absent while there is none. */
  status?: string
  /** ms since the epoch. */
  endedAt?: number
}

/** Names are up to 2,100 characters and callers choose some of them; an lmdb key has at most 1,978 bytes. */
export function keyOf(name: string): string {
  return hash('sha256', name, 'base64url').slice(0, 22)
}
