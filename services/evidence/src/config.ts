import { commonSettings } from '@bailiwick/service-kit'
import { z } from 'zod'

/** What evidence needs to know besides its adapters. */
export interface EvidenceConfig {
  /** Unique for each start. */
  instance: string
  publicUrl: string
  maxStalenessMs: number
  /** Whether anybody may read tiles, proofs and traces; else only the operator of this machine. */
  logPublic: boolean
}

/** The environment of `bailiwick serve evidence`. */
export const configSchema = z.object({
  ...commonSettings(8424),
  /** `1`: tiles, proofs and traces are public; else only on the operator's socket. */
  BAILIWICK_LOG_PUBLIC: z
    .enum(['0', '1'])
    .default('0')
    .transform((value) => value === '1'),
})
