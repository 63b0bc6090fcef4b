import { commonSettings } from '@bailiwick/host'
import { z } from 'zod'

const {
  BAILIWICK_DATA,
  BAILIWICK_PUBLIC_URL,
  BAILIWICK_HOST,
  BAILIWICK_PORT,
  BAILIWICK_LOG_LEVEL,
  BAILIWICK_TLS,
  BAILIWICK_HOSTS,
  BAILIWICK_METRICS,
} = commonSettings(8423)

/** The environment of `bailiwick serve policy-decision --plain`. */
export const configSchema = z.object({
  /** If this directory exists, the operator's socket is created in it. */
  BAILIWICK_DATA,
  BAILIWICK_PUBLIC_URL,
  BAILIWICK_HOST,
  BAILIWICK_PORT,
  BAILIWICK_LOG_LEVEL,
  BAILIWICK_TLS,
  BAILIWICK_HOSTS,
  BAILIWICK_METRICS,
  /** The policy directory. */
  BAILIWICK_POLICIES: z.string().min(1),
  /** `1`: a set without a `permit`, which denies every request, is intended. */
  BAILIWICK_PERMITS_NOTHING: z
    .literal('1')
    .optional()
    .transform((value) => value !== undefined),
  /** A file that holds the callers' bearer token and nothing else. Without it, callers on this machine need no token. */
  BAILIWICK_CALLER_TOKEN_FILE: z.string().optional(),
})

export type PlainConfig = z.output<typeof configSchema>
