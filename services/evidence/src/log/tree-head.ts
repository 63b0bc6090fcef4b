import { parseStrictJson, sha256Schema } from '@bailiwick/contracts'
import { decodeBase64url, encodeBase64url } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import type { TreeHead } from '@bailiwick/tlog'
import { z } from 'zod'

/** Offsets of the last messages whose events are leaves, by topic and partition. */
export type Consumed = Record<string, Record<string, number>>

/** The content of the lock: how far this log goes, and how far that covers the bus. */
export interface LockedHead extends TreeHead {
  readonly origin: string
  /** When the head was made, in ms since the epoch. Later than the time of the previous head. */
  readonly time: number
  readonly consumed: Consumed
}

export const consumedSchema = z.record(z.string(), z.record(z.string(), z.int().min(0)))

const schema = z.strictObject({
  v: z.literal(2),
  time: z.int().min(0),
  origin: z.string().min(1),
  size: z.int().min(0),
  root: sha256Schema,
  consumed: consumedSchema,
})

/** The format from before heads had a time. Any time counts as later. */
const untimed = schema.omit({ time: true }).extend({ v: z.literal(1) })

export function encodeTreeHead({ origin, time, size, root, consumed }: LockedHead): Uint8Array {
  return Buffer.from(`${JSON.stringify({ v: 2, origin, time, size, root: encodeBase64url(root), consumed })}\n`)
}

/** Throws `log_inconsistent` for bytes that `encodeTreeHead` did not write: then the state of the log is unknown. */
export function parseTreeHead(bytes: Uint8Array): LockedHead {
  try {
    const { root, v: _, ...head } = z.union([schema, untimed]).parse(parseStrictJson(bytes))
    return { time: 0, ...head, root: decodeBase64url(root) as Uint8Array }
  } catch (cause) {
    throw new ServiceError('log_inconsistent', 'tree-head.json cannot be read', { cause })
  }
}
