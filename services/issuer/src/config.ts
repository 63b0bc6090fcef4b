import { commonSettings, issuerSettings } from '@bailiwick/host'
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
  ...issuerSettings,
})
