import { Buffer } from 'node:buffer'
import { ServiceError } from '@bailiwick/errors'
import type { Outgoing } from './bus.ts'

/** A leaf of the log is length-prefixed with two bytes (C2SP tlog-tiles), so no event may be longer. */
export const MAX_EVENT_BYTES = 65_535

/** UTF-8 bytes of a key. Every key of DESIGN §4 is an id and far shorter. */
export const MAX_KEY_BYTES = 1024

/**
 * Throws for the first event that no adapter accepts, before anything of the call is written. A key with a lone surrogate
 * would be stored as a different key, and could so share a partition order with it. So it is refused, not repaired.
 */
export function checkOutgoing(events: readonly Outgoing[]): void {
  for (const { key, bytes } of events) {
    if (bytes.byteLength > MAX_EVENT_BYTES) throw new ServiceError('event_too_large', `${bytes.byteLength} bytes`)
    if (!key.isWellFormed()) throw new ServiceError('event_malformed', 'the key is not well-formed Unicode')
    if (Buffer.byteLength(key) > MAX_KEY_BYTES) throw new ServiceError('event_malformed', 'the key is too long')
  }
}
