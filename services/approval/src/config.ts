import { askSettings, commonSettings, type NotificationFormat, notifySettings, setting } from '@bailiwick/host'
import { z } from 'zod'

/** Settings of an approval service, apart from its adapters. */
export interface ApprovalConfig {
  /** Unique for each start. */
  instance: string
  /** Its external address: where agents ask, and where people open the console. */
  publicUrl: string
  maxStalenessMs: number
  /** How long an ask can be answered. The default is 3600. */
  requestLifeSeconds?: number
  /** Where notifications of waiting requests go. Without a webhook, none are sent. */
  notify?: { webhook: string | undefined; format: NotificationFormat }
  /** The address of evidence. By default it is on this machine. */
  evidenceUrl?: string | undefined
}

/** The environment of `bailiwick serve approval`. */
export const configSchema = z.object({
  ...commonSettings(8421),
  ...notifySettings,
  ...askSettings,
  BAILIWICK_EVIDENCE_URL: setting(
    'The evidence service on another machine that the console’s page *Evidence* reads, as a registered auditor (`bailiwick keys auditor`).',
    'https://evidence.example',
    z
      .url({ protocol: /^https?$/ })
      .transform((value) => new URL(value).origin)
      .optional(),
  ),
})
