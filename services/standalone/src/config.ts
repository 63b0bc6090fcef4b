import {
  askSettings,
  commonSettings,
  duration,
  keySettings,
  notifySettings,
  quotaSettings,
  sinkSettings,
} from '@bailiwick/host'
import { z } from 'zod'

/** The environment of `bailiwick serve`: all four services in one process, on embedded adapters (DESIGN §3). */
export const configSchema = z.object({
  ...commonSettings(8420),
  ...notifySettings,
  ...askSettings,
  ...keySettings,
  ...quotaSettings,
  ...sinkSettings,
  /** `1`: tiles and checkpoint are public. Otherwise they are only on the operator's socket. */
  BAILIWICK_LOG_PUBLIC: z
    .enum(['0', '1'])
    .default('0')
    .transform((value) => value === '1'),
  /** A policy file (docs/audit/witness.md): checkpoints are cosigned by its witnesses. */
  BAILIWICK_WITNESS_POLICY: z.string().optional(),
  /** Seconds that a credential lives. */
  BAILIWICK_CREDENTIAL_SECONDS: z.coerce.number().int().min(10).max(600).default(300),
  /** Calls per second that one agent may make to the issuer over all its instances, with bursts of ten times that. */
  BAILIWICK_AGENT_CALLS_PER_SECOND: z.coerce.number().int().min(1).max(1_000_000).default(100),
  /** Time limit for one decision, evidence included. */
  BAILIWICK_DECISION_DEADLINE: duration(100, 10_000).default(1000),
  /** `1`: the arguments of allowed calls are kept beside the log until they are erased (docs/audit/erasure.md). */
  BAILIWICK_KEEP_CALLS: z
    .enum(['0', '1'])
    .default('0')
    .transform((value) => value === '1'),
})

export type StandaloneConfig = z.infer<typeof configSchema>
