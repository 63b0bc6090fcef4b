export type {
  Bus,
  FollowSubscription,
  Handled,
  Message,
  Outgoing,
  PartitionOffsets,
  Position,
  Since,
  Subscription,
} from './bus.ts'
export { eachMessage } from './each-message.ts'
export { type Break, type BusCall, type FaultyBus, faultyBus } from './faulty-bus.ts'
export { MAX_EVENT_BYTES, MAX_KEY_BYTES } from './limits.ts'
export { publishUntilDurable, type RetryOptions } from './retrying.ts'
