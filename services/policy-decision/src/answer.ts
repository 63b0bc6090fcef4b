import type { Obligation } from '@bailiwick/contracts'
import type { AccessToken } from '@bailiwick/credentials'
import type { DenialReason } from '@bailiwick/errors'
import type { Scalar } from './steps/authority.ts'
import type { Because } from './steps/steps.ts'

export interface Allowed {
  decision: true
  decisionId: string
  callId: string
  /** Single use, for this digest, within seconds. */
  permit: string
  /** ms since the epoch */
  permitEndsAt: number
  outcomeDue: string
  /** The obligations, as they stand in the signed permit. */
  obligations: readonly Obligation[]
}

export interface Denied extends Because {
  decision: false
  decisionId: string
  callId: string | undefined
  reason: DenialReason
  /** The caller's credential, as far as it is known; for evidence. */
  token?: AccessToken
  /** The caller did not prove that it holds the credential's key. */
  unproven?: true
  digest?: string
  /** The policy set that judged the call, if the decision came that far. */
  policySet?: string
  /** The living grant that lacks only a human's approval of this action (step-up). The binding token names this grant. */
  grant?: string
  /** For a step-up: the arguments that the authority names. */
  arguments?: Record<string, Scalar>
}

export type Answer = Allowed | Denied
