import type { ApprovalFacts } from '@bailiwick/approval-statement'
import type { EventData, EventTypeOf, ServiceName, TopicName } from '@bailiwick/contracts'
import type { AccessRequest } from '@bailiwick/credentials'

/** An event of one service. Number, chain and signature are added when it is written. A forger changes it before that. */
export interface Draft<N extends TopicName = TopicName, E extends EventTypeOf<N> = EventTypeOf<N>> {
  topic: N
  type: E
  subject: string
  key?: string
  version?: number
  /** ms since the epoch. */
  at: number
  /** The start of its service that writes it. */
  start: number
  /** The service whose key signs, if it is not the topic's writer. */
  signer?: ServiceName
  data: EventData<N, E>
}

/** The changes that an approval service can make to a request before an approver signs what it shows. */
export interface GrantLie {
  asked?: Partial<AccessRequest>
  requestId?: string
  /** It is one of two parts of the request. */
  item?: number
  statement?: Partial<ApprovalFacts>
}
