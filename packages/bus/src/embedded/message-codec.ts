import { Buffer } from 'node:buffer'
import { ServiceError } from '@bailiwick/errors'
import type { Message, Position } from '../bus.ts'

// One stored message: format (1 byte), timestamp (float64), length of the key (uint16), key, bytes of the event.
const FORMAT = 1
const HEADER = 11

/** A fresh copy: the caller's bytes are its own again. */
export function encodeMessage(timestamp: number, key: string, bytes: Uint8Array): Buffer {
  const keyBytes = Buffer.from(key)
  const value = Buffer.allocUnsafe(HEADER + keyBytes.length + bytes.length)
  value.writeUInt8(FORMAT, 0)
  value.writeDoubleBE(timestamp, 1)
  value.writeUInt16BE(keyBytes.length, 9)
  value.set(keyBytes, HEADER)
  value.set(bytes, HEADER + keyBytes.length)
  return value
}

/** A fresh copy too: lmdb's buffers may be views of pages that a later commit reuses. */
export function decodeMessage({ topic, partition, offset }: Position, value: Buffer): Message {
  const timestamp = timestampOf(value)
  const body = HEADER + value.readUInt16BE(9)
  return {
    topic,
    partition,
    offset,
    timestamp,
    key: value.toString('utf8', HEADER, body),
    bytes: new Uint8Array(value.subarray(body)),
  }
}

export function timestampOf(value: Buffer): number {
  if (value.length < HEADER || value.readUInt8(0) !== FORMAT) {
    throw new ServiceError('invariant_broken', 'a stored message is in no format of this version')
  }
  return value.readDoubleBE(1)
}
