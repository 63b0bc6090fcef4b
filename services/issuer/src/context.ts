import type { Signer, Trust } from '@bailiwick/credentials'
import type { Attestors } from '@bailiwick/credentials/attestation'
import type { Logger } from '@bailiwick/host'
import type { Voice } from '@bailiwick/instance'
import type { Clock, RandomSource } from '@bailiwick/kit'

/** The context of every use case of the issuer. */
export interface Issuer extends Voice {
  trust: Trust
  /** The signer of credentials now. Throws `service_unready` if no key may sign. */
  credentialSigner: () => Signer<'credential'>
  /** Whether this process has the issuer's key of this name. It cannot know that of another service's keys. */
  holdsKey: (kid: string) => boolean
  /** How long a key signs before a prepared one replaces it automatically; 0: for ever. */
  keyRotationMs: number
  /** `iss` of what it signs: its external address. */
  issuerUrl: string
  credentialSeconds: number
  /** The maximum age, in ms, of the state by which a decision point decides. */
  maxStalenessMs: number
  /** How workloads show which instance they are. */
  attestors: Attestors
  clock: Clock
  random: RandomSource
  logger: Logger
}
