import type { Signer, Trust } from '@bailiwick/credentials'
import type { Attestors } from '@bailiwick/credentials/attestation'
import type { Voice } from '@bailiwick/projection'
import type { Clock, Logger, RandomSource } from '@bailiwick/service-kit'

/** What every use case of the issuer works with. */
export interface Issuer extends Voice {
  trust: Trust
  /** Who signs credentials now. Throws `service_unready` when no key may. */
  credentialSigner: () => Signer<'credential'>
  /** Whether this process has the issuer's key of this name; of another service's it cannot know. */
  holdsKey: (kid: string) => boolean
  /** How long a key signs until one that was prepared takes its place by itself; 0: for ever. */
  keyRotationMs: number
  /** `iss` of what it signs: its outside address. */
  issuerUrl: string
  credentialSeconds: number
  /** The greatest age of the state by which a decision point decides, ms. */
  maxStalenessMs: number
  /** How workloads show which instance they are. */
  attestors: Attestors
  clock: Clock
  random: RandomSource
  logger: Logger
}
