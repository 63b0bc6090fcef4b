import { callAt, type erasureReasonSchema } from '@bailiwick/contracts'
import { evidenceRoutes, shownValueSchema } from '@bailiwick/contracts/api'
import { after } from '@bailiwick/kit'
import { z } from 'zod'
import { expectAnswer } from './expect-answer.ts'
import type { Io } from './io.ts'
import type { Operator } from './operator-client.ts'

const valueSchema = shownValueSchema.omit({ leaf_index: true, text: true, erased_at: true, by: true, reason: true })
const pageSchema = z.object({ values: z.array(valueSchema), next: evidenceRoutes.showValues.answer.shape.next })
/** A value that an event holds as a salted hash, and whether evidence has it. */
export type Value = z.output<typeof valueSchema>
export type ErasureReason = z.output<typeof erasureReasonSchema>

/** The most values of one call. */
const mostAtOnce = 200
/** How long evidence may take to erase and to confirm, in ms. */
const erasedWithinMs = 15_000
const lookEveryMs = 200
const isCall = ({ at }: Value) => at === callAt

/** The values held by the events that are found under this name. */
export async function valuesOf(operator: Operator, id: string): Promise<Value[]> {
  const found: Value[] = []
  for (let cursor: string | undefined = ''; cursor !== undefined; ) {
    const at = `/v1/values/${encodeURIComponent(id)}?limit=500${cursor === '' ? '' : `&cursor=${cursor}`}`
    const page: z.output<typeof pageSchema> = expectAnswer(pageSchema, await operator.get(at))
    found.push(...page.values)
    cursor = page.next
  }
  return found
}

/**
 * The values among these that can be erased, each once. A value that evidence does not have is not gone: it may still be on its way. An
 * altered value is a copy of something.
 */
export const erasable = (found: readonly Value[]): Value[] =>
  [...new Map(found.map((value) => [value.salted_sha256, value])).values()].filter(
    ({ state }) => state !== 'erased' && state !== 'unkept',
  )

/** The service that wrote a value erases it. */
export async function orderErasure(operator: Operator, reason: ErasureReason, wanted: readonly Value[]): Promise<void> {
  const words = wanted.filter((value) => !isCall(value))
  for (const [path, of] of [
    ['/operator/values/erase', words],
    ['/operator/calls/erase', wanted.filter(isCall)],
  ] as const)
    for (let from = 0; from < of.length; from += mostAtOnce) {
      const values = of
        .slice(from, from + mostAtOnce)
        .map(({ salted_sha256, subject }) => ({ attachment_id: `att_${salted_sha256}`, about: subject.slice(0, 128) }))
      await operator.post(path, { reason, values })
    }
}

/** Waits for evidence to erase them; returns those not yet erased. */
export async function notYetErased(operator: Operator, wanted: readonly Value[], { clock }: Io): Promise<Value[]> {
  const until = clock.monotonic() + erasedWithinMs
  let missing = [...wanted]
  for (;;) {
    const still: Value[] = []
    for (const value of missing) {
      const now = await valuesOf(operator, value.event_id)
      // Also requires the log's statement, which follows the deletion of the text.
      const isGone = now.some((each) => each.salted_sha256 === value.salted_sha256 && each.state === 'erased')
      if (!isGone) still.push(value)
    }
    missing = still
    if (missing.length === 0 || clock.monotonic() >= until) return missing
    await after(lookEveryMs)
  }
}
