/** What an issuer needs to know besides its adapters. */
export interface IssuerConfig {
  /** Unique for each start. */
  instance: string
  /** Its outside address: `iss`. */
  publicUrl: string
  /** Life of a credential, at most 600. */
  credentialSeconds: number
  maxStalenessMs: number
}
