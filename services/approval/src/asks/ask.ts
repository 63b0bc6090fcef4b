import type { Item } from '@bailiwick/approval-statement'
import type { Authority } from '@bailiwick/authority'
import type { Agent, Approver, Attestation, PublicJwk } from '@bailiwick/contracts'
import type { AccessRequest, SaltedText } from '@bailiwick/credentials'
import type { PresentedItem } from './binding.ts'
import type { ShownAttestation } from './workloads.ts'

/** A submission from an agent, with nothing verified yet. */
export interface Submission {
  /** The agent's compact JWS, unverified. */
  request: string
  purpose?: SaltedText | undefined
  arguments?: SaltedText | undefined
  receivedBy: 'topic' | 'http'
  /** An emergency that this person, who is signed in, opens for this key. Absent for every ask of a program. */
  emergency?: { by: Approver; jwk: PublicJwk } | undefined
  /** The extra proof of a workload without a registered key. Over HTTP only: it must never be written to a topic. */
  attestation?: ShownAttestation | undefined
  /** The items that the submission names, with the denials that they answer. Over HTTP only. */
  items?: readonly PresentedItem[]
  /** True if the sender did not prove, by this call, to be an instance of the signing agent. Absent on the topic, which sends no answer. */
  isStranger?: boolean
  /** Called as soon as the agent's signature is verified. */
  onVerified?: () => void
  /** Looks up what this agent sent under its Idempotency-Key, and remembers the resulting task. */
  once?: { find(agentId: string): string | undefined; keep(agentId: string, task: string): void } | undefined
}

/** An ask whose signature is verified. */
export interface Ask {
  agent: Agent
  /** Thumbprint of the instance's key. */
  instanceKey: string
  attestation: Attestation
  asked: AccessRequest
  /** The whole authority that is asked for. */
  authority: Authority
  /** Its parts by rule. Empty for a step-up, which is answered under the rule of the grant that it belongs to. */
  items: readonly Item[]
}
