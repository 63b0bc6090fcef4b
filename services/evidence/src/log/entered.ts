import { parseStrictJson } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import { decodeEntryBundle, encodeEntries } from '@bailiwick/tlog'
import { z } from 'zod'
import { type Consumed, consumedSchema } from './tree-head.ts'

/** Leaves that have their places but are not part of the tree yet, and how far these and all earlier ones cover the bus. */
export interface Entered {
  readonly entries: readonly Uint8Array[]
  readonly consumed: Consumed
}

const schema = z.strictObject({ v: z.literal(1), consumed: consumedSchema })

/** The journal's format: a line of JSON, then the entries as in a bundle. */
export function encodeEntered({ entries, consumed }: Entered): Uint8Array {
  return Buffer.concat([Buffer.from(`${JSON.stringify({ v: 1, consumed })}\n`), encodeEntries(entries)])
}

/** Throws `log_inconsistent` for bytes that `encodeEntered` did not write for this many entries. */
export function decodeEntered(bytes: Uint8Array, count: number): Entered {
  const line = bytes.indexOf(0x0a)
  try {
    const { consumed } = schema.parse(parseStrictJson(bytes.subarray(0, line)))
    const entries = decodeEntryBundle(bytes.subarray(line + 1), count)
    if (entries !== undefined) return { entries, consumed }
  } catch {
    // Reported below.
  }
  throw new ServiceError('log_inconsistent', 'a record of the journal cannot be read')
}
