import type { Trust } from '@bailiwick/credentials'
import type { Logger } from '@bailiwick/host'
import type { PolicyFiles } from '@bailiwick/installation'
import type { Voice } from '@bailiwick/instance'
import type { Clock, RandomSource, RateLimiter, SerialQueue } from '@bailiwick/kit'
import type { Workloads } from './asks/workloads.ts'
import type { OwnRequests } from './own-requests.ts'
import type { SignCounts } from './people/sign-counts.ts'
import type { Prose } from './prose.ts'
import type { ManifestTexts } from './registry/manifest-texts.ts'
import type { ReadPolicyText } from './registry/policy-texts.ts'
import type { Transient } from './transient.ts'

/** The context of every use case of approval. */
export interface Approval extends Voice {
  trust: Trust
  /** The external address, without a trailing slash. */
  publicUrl: string
  requestLifeMs: number
  clock: Clock
  random: RandomSource
  logger: Logger
  prose: Prose
  policyText: ReadPolicyText
  /** Keeps the files of a set where decision points look for it, by its hash. */
  storePolicies: (files: PolicyFiles) => void
  /** What servers of tools say of themselves, as enforcement points sent it. */
  manifests: ManifestTexts
  workloads: Workloads
  own: OwnRequests
  /** How often each agent asks, over HTTP and the topic together (V18). */
  asks: RateLimiter
  /** Repeated asks: the task that each was folded into, by the id that the repeated ask would have had. */
  folded: Transient<string>
  /** A submission's callback options apart from the address, by task. In memory, since no event holds it. */
  callbackWishes: Transient<{ state?: string | undefined; events?: readonly string[] | undefined }>
  signCounts: SignCounts
  /** Handles one agent's asks, and one request's answers, one after the other: each sees the state that the previous one left. */
  lanes: SerialQueue
}
