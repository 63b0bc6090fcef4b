import { commonSettings, duration } from '@bailiwick/service-kit'
import { z } from 'zod'

/** What a PDP needs to know besides its adapters. */
export interface PolicyDecisionConfig {
  /** Unique for each start. */
  instance: string
  /** Its outside address: `iss` of permits, audience of enforcement points' assertions. */
  publicUrl: string
  maxStalenessMs: number
  /** For one decision, evidence included (DESIGN §7.4). */
  decisionDeadlineMs?: number
  /** How long after an ALLOW its outcome is due. */
  outcomeSeconds?: number
}

export const defaults = { decisionDeadlineMs: 1000, outcomeSeconds: 60 }

/** The environment of `bailiwick serve policy-decision`. */
export const configSchema = z.object({
  ...commonSettings(8423),
  /** For one decision, evidence included; an enforcement point must wait longer. */
  BAILIWICK_DECISION_DEADLINE: duration(100, 10_000).default(defaults.decisionDeadlineMs),
})
