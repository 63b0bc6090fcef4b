import { commonSettings, type SinksConfig, sinkSettings } from '@bailiwick/service-kit'
import { z } from 'zod'

/** What evidence needs to know besides its adapters. */
export interface EvidenceConfig {
  /** Unique for each start. */
  instance: string
  publicUrl: string
  maxStalenessMs: number
  /** Whether anybody may read tiles, proofs and traces; else only the operator of this machine. */
  logPublic: boolean
  /** File of the policy (C2SP tlog-policy) that says which witnesses are asked, where, and how many are enough. */
  witnessPolicy?: string | undefined
  /** Where the leaves go besides the bus. */
  sinks: SinksConfig
}

/** The environment of `bailiwick serve evidence`. */
export const configSchema = z.object({
  ...commonSettings(8424),
  ...sinkSettings,
  /** `1`: tiles, proofs and traces are public; else only on the operator's socket. */
  BAILIWICK_LOG_PUBLIC: z
    .enum(['0', '1'])
    .default('0')
    .transform((value) => value === '1'),
  /** A policy file (docs/operations/witness.md): checkpoints are cosigned by its witnesses. */
  BAILIWICK_WITNESS_POLICY: z.string().optional(),
})
