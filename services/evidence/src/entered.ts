import { parseStrictJson } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import { decodeEntryBundle, encodeEntries } from '@bailiwick/tlog'
import { z } from 'zod'
import { type Consumed, consumedSchema } from './tree-head.ts'

/** Leaves that have their places and are not part of the tree yet, and what of the bus these and all before them cover. */
export interface Entered {
  readonly entries: readonly Uint8Array[]
  readonly consumed: Consumed
}

const schema = z.strictObject({ v: z.literal(1), consumed: consumedSchema })

/** What stands in the journal: a line of JSON, then the entries as in a bundle. */
export function encodeEntered({ entries, consumed }: Entered): Uint8Array {
  return Buffer.concat([Buffer.from(`${JSON.stringify({ v: 1, consumed })}\n`), encodeEntries(entries)])
}

/** Throws `log_inconsistent` for anything that `encodeEntered` did not write of so many entries. */
export function decodeEntered(bytes: Uint8Array, count: number): Entered {
  const line = bytes.indexOf(0x0a)
  try {
    const { consumed } = schema.parse(parseStrictJson(bytes.subarray(0, line)))
    const entries = decodeEntryBundle(bytes.subarray(line + 1), count)
    if (entries !== undefined) return { entries, consumed }
  } catch {
    // Told below.
  }
  throw new ServiceError('log_inconsistent', 'a record of the journal cannot be read')
}
