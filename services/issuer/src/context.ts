import type { SigningKey, Trust } from '@bailiwick/credentials'
import type { Participant } from '@bailiwick/projection'
import type { Clock, Logger, RandomSource } from '@bailiwick/service-kit'

/** What every use case of the issuer works with. */
export interface Issuer extends Pick<Participant, 'keyRing' | 'projection' | 'producer' | 'headNow'> {
  trust: Trust
  credentialKey: SigningKey<'credential'>
  /** `iss` of what it signs: its outside address. */
  issuerUrl: string
  credentialSeconds: number
  clock: Clock
  random: RandomSource
  logger: Logger
}
