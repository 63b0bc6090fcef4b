import type { Item } from '@bailiwick/approval-statement'
import type { Authority } from '@bailiwick/authority'
import type { Agent, Attestation } from '@bailiwick/contracts'
import type { AccessRequest, SaltedText } from '@bailiwick/credentials'
import type { PresentedItem } from './binding.ts'
import type { ShownAttestation } from './workloads.ts'

/** What an agent sent, none of it verified. */
export interface Submission {
  /** The agent's compact JWS, unverified. */
  request: string
  purpose?: SaltedText | undefined
  arguments?: SaltedText | undefined
  receivedBy: 'topic' | 'http'
  /** What a workload without a registered key sends besides, over HTTP alone: it must never stand on a topic. */
  attestation?: ShownAttestation | undefined
  /** What the submission names, with the denials that it answers; over HTTP alone. */
  items?: readonly PresentedItem[]
  /** Who sends it has not proved, by this call, to be an instance of the agent that signed it. Absent: it is told nothing. */
  isStranger?: boolean
  /** Called as soon as the agent's signature holds. */
  onVerified?: () => void
  /** Looks up what this agent sent under its Idempotency-Key, and remembers what became of it. */
  once?: { find(agentId: string): string | undefined; keep(agentId: string, task: string): void } | undefined
}

/** An ask whose signature holds. */
export interface Ask {
  agent: Agent
  /** Thumbprint of the instance's key. */
  instanceKey: string
  attestation: Attestation
  asked: AccessRequest
  /** All of it. */
  authority: Authority
  /** Its parts by rule; none of a step-up, which people answer by the rule of the grant that it is under. */
  items: readonly Item[]
}
