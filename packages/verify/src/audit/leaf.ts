import { createHash } from 'node:crypto'
import type { TopicName } from '@bailiwick/contracts'
import type { Leaf } from '../log/leaf.ts'

export type { Leaf } from '../log/leaf.ts'

/** What a finding breaks: an invariant of DESIGN §12, or the form on which they all depend. */
export type Rule =
  | 'leaf'
  | 'version'
  | 'registry'
  | 'outcome'
  | 'V1'
  | 'V2'
  | 'V3'
  | 'V4'
  | 'V5'
  | 'V6'
  | 'V7'
  | 'V9'
  | 'V10'
  | 'V11'
  | 'V12'
  | 'V14'
  | 'V15'
  | 'V17'

export interface Finding {
  /** Index of the leaf at fault; -1: the log as a whole. */
  leaf: number
  rule: Rule
  detail: string
}

/** One thing that must hold of a leaf. */
export type Check = [rule: Rule, holds: boolean, detail: string]

/** The leaves of one topic, in their order. */
export function onTopic<N extends TopicName>(leaves: readonly Leaf[], topic: N): Leaf<N>[] {
  return leaves.filter((leaf) => leaf.topic === topic) as unknown as Leaf<N>[]
}

/** Its number in its producer's chain. */
export const sequenceOf = ({ event }: Leaf): number => Number(event.sequence)

export const sha256 = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('base64url')
