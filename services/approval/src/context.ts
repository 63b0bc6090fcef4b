import type { Trust } from '@bailiwick/credentials'
import type { Voice } from '@bailiwick/projection'
import type { Clock, Logger, RandomSource, RateLimiter, SerialQueue } from '@bailiwick/service-kit'
import type { OwnRequests } from './own-requests.ts'
import type { ReadPolicyText } from './policy-texts.ts'
import type { Prose } from './prose.ts'
import type { SignCounts } from './sign-counts.ts'
import type { Transient } from './transient.ts'
import type { Workloads } from './workloads.ts'

/** What every use case of approval works with. */
export interface Approval extends Voice {
  trust: Trust
  /** Its outside address, without a slash at the end. */
  publicUrl: string
  requestLifeMs: number
  clock: Clock
  random: RandomSource
  logger: Logger
  prose: Prose
  policyText: ReadPolicyText
  workloads: Workloads
  own: OwnRequests
  /** How often each agent asks, by HTTP and topic together (V18). */
  asks: RateLimiter
  /** The tasks that asks which asked the same were folded into, by the id that each would have had. */
  folded: Transient<string>
  /** What a submission said of its callback besides where, by task; in memory, since no event holds it. */
  callbackWishes: Transient<{ state?: string | undefined; events?: readonly string[] | undefined }>
  signCounts: SignCounts
  /** One agent's asks, and one request's answers, one after the other: each sees what the one before left. */
  lanes: SerialQueue
}
