import { commonSettings, logSettings, type SinksConfig, sinkSettings } from '@bailiwick/host'
import { z } from 'zod'

/** The settings of evidence, besides its adapters. */
export interface EvidenceConfig {
  /** Unique for each start. */
  instance: string
  publicUrl: string
  maxStalenessMs: number
  /** Whether tiles, proofs and traces are public. Otherwise only the operator of this machine may read them. */
  logPublic: boolean
  /** The policy file (C2SP tlog-policy): which witnesses are asked, where, and how many are enough. */
  witnessPolicy?: string | undefined
  /** Where leaves are sent besides the bus. */
  sinks: SinksConfig
}

/** The environment of `bailiwick serve evidence`. */
export const configSchema = z.object({
  ...commonSettings(8424),
  ...sinkSettings,
  ...logSettings,
})
