import { commonSettings, keySettings } from '@bailiwick/service-kit'
import { z } from 'zod'

/** What an issuer needs to know besides its adapters. */
export interface IssuerConfig {
  /** Unique for each start. */
  instance: string
  /** Its outside address: `iss`. */
  publicUrl: string
  /** Life of a credential, at most 600. */
  credentialSeconds: number
  /** How long a key signs until one that was prepared takes its place by itself; 0: for ever. */
  keyRotationDays?: number
  maxStalenessMs: number
  /** Of one agent, over all its instances: 100 unless told, and ten times that at once. */
  agentCallsPerSecond?: number
}

/** The environment of `bailiwick serve issuer`. */
export const configSchema = z.object({
  ...commonSettings(8422),
  ...keySettings,
  /** Seconds that a credential lives. */
  BAILIWICK_CREDENTIAL_SECONDS: z.coerce.number().int().min(10).max(600).default(300),
  /** How often one agent may call, a second, over all its instances; ten times that at once. */
  BAILIWICK_AGENT_CALLS_PER_SECOND: z.coerce.number().int().min(1).max(1_000_000).default(100),
})
