import { erasureReasonSchema } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import { z } from 'zod'
import type { ErasureReason } from './erasures.ts'
import { inputLines } from './input-lines.ts'
import { streamInput } from './read-input.ts'

const hash = z.string().regex(/^[\w-]{43}$/)

/** A line of `bailiwick erase --json`. `events`: the events that hold these hashes, because not every hash can be searched for alone. */
const erasureLineSchema = z.object({
  reason: erasureReasonSchema,
  erased: z.array(hash),
  /** Ordered, but not erased when the line was printed. */
  pending: z.array(hash),
  events: z.array(z.string().min(1).max(128)),
})
type ErasureLine = z.output<typeof erasureLineSchema>

/** Earlier erasures, from lines that were kept. */
interface ErasureList {
  reasons: ReadonlyMap<string, ErasureReason>
  events: ReadonlySet<string>
}

/** Throws `config_invalid` for an invalid line: with half a list, some texts would stay. */
export async function readErasureList(option: string, path: string): Promise<ErasureList> {
  const reasons = new Map<string, ErasureReason>()
  const events = new Set<string>()
  let number = 0
  for await (const bytes of inputLines(streamInput(option, path))) {
    number++
    const text = bytes.toString('utf8').trim()
    if (text === '') continue
    const line = lineIn(text)
    if (line === undefined)
      throw new ServiceError('config_invalid', `${option}: line ${number} of ${path} is no list of what was erased`)
    for (const each of [...line.erased, ...line.pending]) if (!reasons.has(each)) reasons.set(each, line.reason)
    for (const event of line.events) events.add(event)
  }
  return { reasons, events }
}

function lineIn(text: string): ErasureLine | undefined {
  try {
    return erasureLineSchema.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}
