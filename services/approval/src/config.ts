import { commonSettings } from '@bailiwick/service-kit'
import { z } from 'zod'
import { type NotificationFormat, notificationFormats } from './notifications/bodies.ts'
import { webhookUrl } from './notifications/webhook.ts'

/** What an approval service needs to know besides its adapters. */
export interface ApprovalConfig {
  /** Unique for each start. */
  instance: string
  /** Its outside address: where agents ask, and where people open the console. */
  publicUrl: string
  maxStalenessMs: number
  /** How long an ask can be answered; 3600 unless told. */
  requestLifeSeconds?: number
  /** Where people are told of what waits; nowhere unless told. */
  notify?: { webhook: string; format: NotificationFormat }
}

/** Of a process in which approval runs: how people are told. */
export const notifySettings = {
  /** Where notifications are posted: https, or http to this machine. A secret: whoever has it can write there. */
  BAILIWICK_NOTIFY_WEBHOOK: z
    .string()
    .max(2048)
    .transform((value, context): string => {
      const url = webhookUrl(value)
      if (url !== undefined) return url
      context.addIssue('an https URL, or http://localhost, without user and fragment')
      return z.NEVER
    })
    .optional(),
  BAILIWICK_NOTIFY_FORMAT: z.enum(notificationFormats).default('json'),
}

/** What `notifySettings` say. */
export function notifyOf(config: {
  BAILIWICK_NOTIFY_WEBHOOK?: string | undefined
  BAILIWICK_NOTIFY_FORMAT: NotificationFormat
}): Pick<ApprovalConfig, 'notify'> {
  const { BAILIWICK_NOTIFY_WEBHOOK: webhook, BAILIWICK_NOTIFY_FORMAT: format } = config
  return webhook === undefined ? {} : { notify: { webhook, format } }
}

/** The environment of `bailiwick serve approval`. */
export const configSchema = z.object({
  ...commonSettings(8421),
  ...notifySettings,
  /** Seconds that an ask can be answered. */
  BAILIWICK_REQUEST_SECONDS: z.coerce
    .number()
    .int()
    .min(60)
    .max(8 * 3600)
    .default(3600),
})
