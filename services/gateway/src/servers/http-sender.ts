import { Sender, type SenderOptions } from '@bailiwick/relay'
import { mostConnections } from '../descriptors.ts'
import { longestMessage } from '../protocol/screen.ts'

/** `headMs`: the time to the head of an answer. `isPrivate`: whether the name may resolve to private addresses. */
export type HttpSenderOptions = Pick<
  SenderOptions,
  'url' | 'inject' | 'secrets' | 'isPrivate' | 'headMs' | 'keepsSession'
>

const limits = {
  mostCalls: mostConnections,
  connectMs: 5000,
  /** How long a server may be silent on a stream: as long as the gateway lets a stream last. */
  idleMs: 3_600_000,
  /** A stream may last as long as its grant, so only a single message is bounded (`longestMessage`). */
  mostBytes: 1024 * longestMessage,
}

/** Sends requests to a server whose answers may flow for as long as their grant lives. */
export class HttpSender extends Sender {
  constructor(options: HttpSenderOptions) {
    super({ ...limits, ...options })
  }
}
