import { parseStrictJson } from '@bailiwick/contracts'
import { outcomeHash } from '@bailiwick/credentials'
import { z } from 'zod'
import type { Chain, Numbered } from './chain.ts'

/** A relayed outcome, in the chain of its enforcement point's instance. */
export interface OutcomeLink {
  point: string
  instance: string
  decisionId: string
  /** Its hash is `outcomeHash`, which the next outcome names. */
  numbered: Numbered
  /**
   * All outcomes of the instance up to this number had their last answer when this one was signed. Undefined: all earlier ones, because
   * each waited for the previous one.
   */
  answered: number | undefined
}

/** The outcomes of an instance that the log has. */
export interface OutcomeChain extends Chain {
  point: string
  instance: string
  /** The highest number up to which no outcome waits any more; and the hash of that outcome, if the outcome itself says so. */
  last: readonly [sequence: number, hash: string | undefined]
}

/** A number that an instance reused for a second outcome. Both count, since they belong to two decisions. */
export interface DoubledOutcome {
  point: string
  instance: string
  decisionId: string
  sequence: number
  hash: string
}

const saidSchema = z.object({
  enforcement_point: z.string(),
  instance: z.string(),
  decision_id: z.string(),
  sequence: z.int().min(1),
  previous: z.string().optional(),
  answered: z.int().min(0).optional(),
})

/** Reads what the enforcement point signed and the decision point verified. Undefined if the point states no instance: it has no chain. */
export function outcomeLink(type: string, data: unknown): OutcomeLink | undefined {
  const jws: unknown = type === 'outcome.reported' ? Object(data).outcome : undefined
  if (typeof jws !== 'string') return undefined
  try {
    const said = saidSchema.parse(parseStrictJson(Buffer.from(jws.split('.')[1] ?? '', 'base64url')))
    const { enforcement_point: point, instance, decision_id: decisionId, sequence, previous, answered } = said
    return { point, instance, decisionId, numbered: { sequence, previous, hash: outcomeHash(jws) }, answered }
  } catch {
    return undefined
  }
}

/** Unambiguous, because neither a point's name nor an instance contains a space. */
export const chainName = ({ point, instance }: Pick<OutcomeLink, 'point' | 'instance'>): string =>
  `${point} ${instance}`

/** Whether the chain has no gap and no broken link. */
export const isWhole = ({ ahead, broken = [] }: Chain): boolean => ahead.length === 0 && broken.length === 0
