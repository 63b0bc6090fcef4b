import type { SearchMembers } from '@bailiwick/contracts/api'
import { ServiceError } from '@bailiwick/errors'
import type { LeafPlace } from '../index/find-leaves.ts'
import type { Search } from '../index/search.ts'

export const cursorOf = ({ at, index }: LeafPlace): string => `${at}_${index}`

export function searchOf({ cursor: before, ...members }: SearchMembers & { id?: string | undefined }): Search {
  const { from, to } = members
  // The search would find nothing, as if nothing had happened.
  if (from !== undefined && to !== undefined && from > to)
    throw new ServiceError('request_malformed', 'from is later than to')
  return { ...members, before }
}
