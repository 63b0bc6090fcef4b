import type { Message } from '../bus.ts'

/** A batch handed to a handler holds at most this many messages … */
export const BATCH_MESSAGES = 256
/** … and stops growing at this many bytes of events, after the message that reaches it. */
export const BATCH_BYTES = 1 << 20

/** One partition as its readers see it: only messages that are kept and durable. */
export interface PartitionLog {
  readonly topic: string
  readonly partition: number
  /** The oldest kept offset; `end` if there is none. */
  readonly first: number
  /** The offset after the last durable message. */
  readonly end: number
  /** Called after each rise of `end`. */
  readonly listeners: Set<() => void>
  /** The kept messages from `offset` on, until `messages` or `bytes` are reached; at least one message if there is any. */
  read(offset: number, messages: number, bytes: number): Message[]
  /** The first kept offset with a timestamp at or after `time`; `end` if there is none. */
  seek(time: number): number
  /** From now on, messages with a timestamp before `time` can no longer be read. */
  expire(time: number): void
}

/** Binary search over timestamps that never decrease: the first offset in [low, high) at or after `time`, else `high`. */
export function firstAtOrAfter(
  time: number,
  low: number,
  high: number,
  timestampAt: (offset: number) => number,
): number {
  let from = low
  let to = high
  while (from < to) {
    const middle = from + Math.floor((to - from) / 2)
    if (timestampAt(middle) < time) from = middle + 1
    else to = middle
  }
  return from
}
