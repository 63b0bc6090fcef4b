import { ServiceError } from '@bailiwick/errors'
import { z } from 'zod'
import type { LeafPlace } from '../index/find-leaves.ts'
import type { Search } from '../index/search.ts'

const name = z.string().min(1).max(2100).optional()
const moment = z.iso
  .datetime({ offset: true })
  .transform((text) => Date.parse(text))
  .optional()
/** A cursor is a position, and no more secret than the log: a made-up cursor starts elsewhere, but reveals nothing else. */
const cursor = z
  .string()
  .regex(/^\d{1,15}_\d{1,15}$/, 'not a cursor')
  .transform((text): LeafPlace => {
    const [at, index] = text.split('_').map(Number)
    return { at: at ?? 0, index: index ?? 0 }
  })
  .optional()

export const cursorOf = ({ at, index }: LeafPlace): string => `${at}_${index}`

/** The members of every search, each at most once. Unknown members are refused: otherwise a misspelt filter would match everything. */
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

type Members = z.output<z.ZodObject<typeof searchMembers>>

export function searchOf({ cursor: before, ...members }: Members & { id?: string | undefined }): Search {
  const { from, to } = members
  // The search would find nothing, as if nothing had happened.
  if (from !== undefined && to !== undefined && from > to)
    throw new ServiceError('request_malformed', 'from is later than to')
  return { ...members, before }
}
