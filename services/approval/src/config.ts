import { askSettings, commonSettings, type NotificationFormat, notifySettings } from '@bailiwick/service-kit'
import { z } from 'zod'

/** What an approval service needs to know besides its adapters. */
export interface ApprovalConfig {
  /** Unique for each start. */
  instance: string
  /** Its outside address: where agents ask, and where people open the console. */
  publicUrl: string
  maxStalenessMs: number
  /** How long an ask can be answered; 3600 unless told. */
  requestLifeSeconds?: number
  /** Where people are told of what waits; nowhere without a webhook. */
  notify?: { webhook: string | undefined; format: NotificationFormat }
  /** Where evidence answers; on this machine unless told. */
  evidenceUrl?: string | undefined
}

/** The environment of `bailiwick serve approval`. */
export const configSchema = z.object({
  ...commonSettings(8421),
  ...notifySettings,
  ...askSettings,
  /** Where the console's page *Evidence* reads: an evidence service on another machine, as an auditor (`bailiwick keys auditor`). */
  BAILIWICK_EVIDENCE_URL: z
    .url({ protocol: /^https?$/ })
    .transform((value) => new URL(value).origin)
    .optional(),
})
