import { commonSettings, duration, keySettings, notifySettings } from '@bailiwick/service-kit'
import { z } from 'zod'

/** The environment of `bailiwick serve`: all four services in one process, on embedded adapters (DESIGN §3). */
export const configSchema = z.object({
  ...commonSettings(8420),
  ...notifySettings,
  ...keySettings,
  /** `1`: tiles and checkpoint are public; else only on the operator's socket. */
  BAILIWICK_LOG_PUBLIC: z
    .enum(['0', '1'])
    .default('0')
    .transform((value) => value === '1'),
  /** Seconds that a credential lives. */
  BAILIWICK_CREDENTIAL_SECONDS: z.coerce.number().int().min(10).max(600).default(300),
  /** For one decision, evidence included. */
  BAILIWICK_DECISION_DEADLINE: duration(100, 10_000).default(1000),
})

export type StandaloneConfig = z.infer<typeof configSchema>
