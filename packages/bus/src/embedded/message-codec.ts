import { Buffer } from 'node:buffer'
import { ServiceError } from '@bailiwick/errors'
import type { Message, Position } from '../bus.ts'

// One stored message: format (1 byte), timestamp (float64), length of the key (uint16), key, bytes of the event. In format 2 the
// event's bytes are in a separate file that can be removed.
const FORMAT = 1
const ELSEWHERE = 2
const HEADER = 11

/** A fresh copy, so that the caller may reuse its bytes. If `bytes` is absent, they are in a separate file. */
export function encodeMessage(timestamp: number, key: string, bytes?: Uint8Array): Buffer {
  const keyBytes = Buffer.from(key)
  const value = Buffer.allocUnsafe(HEADER + keyBytes.length + (bytes?.length ?? 0))
  value.writeUInt8(bytes === undefined ? ELSEWHERE : FORMAT, 0)
  value.writeDoubleBE(timestamp, 1)
  value.writeUInt16BE(keyBytes.length, 9)
  value.set(keyBytes, HEADER)
  if (bytes !== undefined) value.set(bytes, HEADER + keyBytes.length)
  return value
}

/** Also a fresh copy: lmdb's buffers may be views of pages that a later commit reuses. */
export function decodeMessage({ topic, partition, offset }: Position, value: Buffer): Message {
  const timestamp = timestampOf(value)
  const body = bodyAt(value)
  return {
    topic,
    partition,
    offset,
    timestamp,
    key: keyOf(value),
    bytes: new Uint8Array(value.subarray(body)),
  }
}

/** Whether the event's bytes are in a file of their own. */
export function isElsewhere(value: Buffer): boolean {
  return value.length >= HEADER && value.readUInt8(0) === ELSEWHERE
}

export function keyOf(value: Buffer): string {
  return value.toString('utf8', HEADER, bodyAt(value))
}

const bodyAt = (value: Buffer): number => HEADER + value.readUInt16BE(9)

export function timestampOf(value: Buffer): number {
  if (value.length < HEADER || ![FORMAT, ELSEWHERE].includes(value.readUInt8(0))) {
    throw new ServiceError('invariant_broken', 'a stored message is in no format of this version')
  }
  return value.readDoubleBE(1)
}
