import { commonSettings } from '@bailiwick/service-kit'
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
  /** Where it exists, the operator's socket is made in it. */
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
  /** `1`: a set that has no `permit`, and so denies every request, is meant. */
  BAILIWICK_PERMITS_NOTHING: z
    .literal('1')
    .optional()
    .transform((value) => value !== undefined),
  /** A file that holds the bearer token of callers and nothing else; without, callers on this machine need none. */
  BAILIWICK_CALLER_TOKEN_FILE: z.string().optional(),
})

export type PlainConfig = z.output<typeof configSchema>
