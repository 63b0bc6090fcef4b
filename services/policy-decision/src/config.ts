import {
  commonSettings,
  decisionSettings,
  defaultCompareOneIn,
  defaultDecisionDeadlineMs,
  defaultQuotas,
} from '@bailiwick/host'
import { z } from 'zod'

/** The settings of a PDP, besides its adapters. */
export interface PolicyDecisionConfig {
  /** Unique for each start. */
  instance: string
  /** The PDP's outside address: `iss` of permits, audience of enforcement points' assertions. */
  publicUrl: string
  maxStalenessMs: number
  /** For one decision, evidence included (DESIGN §7.4). */
  decisionDeadlineMs?: number
  /** How long after an ALLOW its outcome is due. */
  outcomeSeconds?: number
  /** How many calls of one enforcement point, and of one agent over all its instances, may be under way. */
  pointCalls?: number
  agentCalls?: number
  /** How many decisions one agent, and one grant, may get here per minute. */
  agentDecisionsPerMinute?: number
  grantDecisionsPerMinute?: number
  /** Whether calls go to evidence, which keeps them until they are erased. */
  keepCalls?: boolean
  /** Of this many decisions by compiled policies one is compared with Cedar's. */
  compareOneIn?: number
}

/**
 * One agent may have a whole boxcar under way and as much again, but never all that its enforcement point may. Calls under way are
 * decided within the deadline.
 */
export const defaults = {
  decisionDeadlineMs: defaultDecisionDeadlineMs,
  outcomeSeconds: 60,
  pointCalls: 1024,
  agentCalls: 512,
  compareOneIn: defaultCompareOneIn,
  ...defaultQuotas,
}

/** The environment of `bailiwick serve policy-decision`. */
export const configSchema = z.object({
  ...commonSettings(8423),
  ...decisionSettings,
})
