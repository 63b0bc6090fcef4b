import { commonSettings, keySettings } from '@bailiwick/host'
import { z } from 'zod'

/** Settings of an issuer, apart from its adapters. */
export interface IssuerConfig {
  /** Unique for each start. */
  instance: string
  /** Its external address: `iss`. */
  publicUrl: string
  /** Life of a credential, at most 600. */
  credentialSeconds: number
  /** How long a key signs before a prepared one replaces it automatically; 0: for ever. */
  keyRotationDays?: number
  maxStalenessMs: number
  /** For one agent, over all its instances: 100 by default, with bursts of ten times that. */
  agentCallsPerSecond?: number
}

/** The environment of `bailiwick serve issuer`. */
export const configSchema = z.object({
  ...commonSettings(8422),
  ...keySettings,
  /** Seconds that a credential lives. */
  BAILIWICK_CREDENTIAL_SECONDS: z.coerce.number().int().min(10).max(600).default(300),
  /** Calls per second that one agent may make over all its instances, with bursts of ten times that. */
  BAILIWICK_AGENT_CALLS_PER_SECOND: z.coerce.number().int().min(1).max(1_000_000).default(100),
})
