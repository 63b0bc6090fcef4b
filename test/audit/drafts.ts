import type { ApprovalFacts } from '@bailiwick/approval-statement'
import type { EventData, EventTypeOf, ServiceName, TopicName } from '@bailiwick/contracts'
import type { AccessRequest } from '@bailiwick/credentials'

/** What one service says; number, chain and signature come when it is written. A forger changes it before. */
export interface Draft<N extends TopicName = TopicName, E extends EventTypeOf<N> = EventTypeOf<N>> {
  topic: N
  type: E
  subject: string
  key?: string
  version?: number
  /** ms since the epoch. */
  at: number
  /** Which start of its service says it. */
  start: number
  /** Whose key signs, where it is not the topic's writer. */
  signer?: ServiceName
  data: EventData<N, E>
}

/** What an approval service can make of a request before an approver signs what it shows. */
export interface GrantLie {
  asked?: Partial<AccessRequest>
  requestId?: string
  /** It is one of two parts of the ask. */
  item?: number
  statement?: Partial<ApprovalFacts>
}
