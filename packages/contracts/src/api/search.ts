import { z } from 'zod'

const name = z.string().min(1).max(2100).optional()
const moment = z.iso
  .datetime({ offset: true })
  .transform((text) => Date.parse(text))
  .optional()
/** A cursor is a position, and no more secret than the log: a made-up cursor starts elsewhere, but reveals nothing else. */
const cursor = z
  .string()
  .regex(/^\d{1,15}_\d{1,15}$/, 'not a cursor')
  .transform((text) => {
    const [at, index] = text.split('_').map(Number)
    return { at: at ?? 0, index: index ?? 0 }
  })
  .optional()

/**
 * The members of every search in the log, each at most once. Unknown members are refused: otherwise a misspelt filter would match everything.
 */
export const searchMembers = {
  agent: name,
  approver: name,
  task: name,
  resource: name,
  reason: name,
  type: name,
  from: moment,
  to: moment,
  cursor,
}
export type SearchMembers = z.output<z.ZodObject<typeof searchMembers>>

const limit = (most: number, usual: number) => z.coerce.number().int().min(1).max(most).default(usual)

/** The limit is low because every step of a trace is verified anew, some with several signatures. */
export const traceQuerySchema = z.strictObject({ ...searchMembers, limit: limit(500, 200) })
export type TraceQuery = z.output<typeof traceQuerySchema>

export const eventsQuerySchema = z.strictObject({
  id: z.string().min(1).max(2100).optional(),
  ...searchMembers,
  limit: limit(200, 50),
})
export type EventsQuery = z.output<typeof eventsQuerySchema>

export const valuesQuerySchema = z.strictObject({
  ...searchMembers,
  /** Also the values of the events that these followed from. */
  causes: z.literal('true').optional(),
  limit: limit(500, 200),
})

const hourMs = 3_600_000
const mostDays = 31
const span = { from: z.iso.datetime({ offset: true }), to: z.iso.datetime({ offset: true }) }
const isSpan = ({ from, to }: { from: number; to: number }) => from <= to && to - from <= mostDays * 24 * hourMs
const spanWords = `from before to, ${mostDays} days at most`

export const activityQuerySchema = z
  .strictObject(span)
  .transform(({ from, to }) => ({ from: Date.parse(from), to: Date.parse(to) }))
  .refine(isSpan, spanWords)

export const touchedQuerySchema = z
  .strictObject({
    /** Its id, without an instance. */
    agent: z.string().min(1).max(2100),
    ...span,
  })
  .transform(({ agent, from, to }) => ({ agent, from: Date.parse(from), to: Date.parse(to) }))
  .refine(isSpan, spanWords)

/** Names, separated by commas. */
const names = z
  .string()
  .max(2000)
  .regex(/^[\w-]+(,[\w-]+)*$/, 'not names with commas between')
  .transform((text) => text.split(','))
  .default([])
export const bundleQuerySchema = z.strictObject({ reveal: names, withhold: names })

/** Ids may be SPIFFE IDs, with slashes, percent-encoded or not. */
export const anyIdParamsSchema = z.strictObject({ '*': z.string().min(1).max(2100) })
export const eventIdParamsSchema = z.strictObject({
  eventId: z.string().regex(/^[0-9A-Za-z_-]{8,128}$/, 'not an event id'),
})
