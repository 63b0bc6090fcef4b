import { commonSettings, engineSettings, setting } from '@bailiwick/host'
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
  BAILIWICK_DATA: setting(
    'If this folder exists, the operator’s socket is made in it.',
    '/run/bailiwick',
    BAILIWICK_DATA,
  ),
  BAILIWICK_PUBLIC_URL,
  BAILIWICK_HOST,
  BAILIWICK_PORT,
  BAILIWICK_LOG_LEVEL,
  BAILIWICK_TLS,
  BAILIWICK_HOSTS,
  BAILIWICK_METRICS,
  ...engineSettings,
  BAILIWICK_POLICIES: setting('The policy directory.', '/etc/bailiwick/policies', z.string().min(1)),
  BAILIWICK_PERMITS_NOTHING: setting(
    '`1`: a set without a `permit`, which denies every request, is intended.',
    '1',
    z
      .literal('1')
      .optional()
      .transform((value) => value !== undefined),
  ),
  BAILIWICK_CALLER_TOKEN_FILE: setting(
    'A file that holds the callers’ bearer token and nothing else. Without it, callers on this machine need no token.',
    '/etc/bailiwick/caller-token',
    z.string().optional(),
  ),
})

export type PlainConfig = z.output<typeof configSchema>
