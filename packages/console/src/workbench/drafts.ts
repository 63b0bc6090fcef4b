import { useSyncExternalStore } from 'react'

/** An entity as a person wants it, and the version that the person saw. */
export interface EntityDraft {
  type: string
  id: string
  /** 0: there was none. */
  base: number
  /** null: it is to be retired. */
  value: unknown
}

const place = 'bailiwick-registry-draft'
const listeners = new Set<() => void>()
let drafts: readonly EntityDraft[] = []
let owner = ''

const nameOf = ({ type, id }: Pick<EntityDraft, 'type' | 'id'>) => JSON.stringify([type, id])

function put(next: readonly EntityDraft[]): void {
  drafts = next
  // A reload keeps them. Another tab has its own.
  try {
    if (next.length === 0) sessionStorage.removeItem(place)
    else sessionStorage.setItem(place, JSON.stringify({ owner, drafts }))
  } catch {
    // There is no room, or the browser keeps nothing. The page still has them.
  }
  for (const listener of listeners) listener()
}

/** The change that this person prepares. It outlives the end of a session, and another person who signs in gets none of it. */
export function useDrafts(person: string): readonly EntityDraft[] {
  if (owner !== person) {
    owner = person
    drafts = kept(person)
  }
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => drafts,
  )
}

function kept(person: string): readonly EntityDraft[] {
  try {
    const read = JSON.parse(sessionStorage.getItem(place) ?? 'null') as { owner: string; drafts: EntityDraft[] } | null
    return read?.owner === person && Array.isArray(read.drafts) ? read.drafts : []
  } catch {
    return []
  }
}

export function keepDraft(draft: EntityDraft): void {
  put([...drafts.filter((each) => nameOf(each) !== nameOf(draft)), draft])
}

export function dropDraft(draft: Pick<EntityDraft, 'type' | 'id'>): void {
  put(drafts.filter((each) => nameOf(each) !== nameOf(draft)))
}

export const dropAllDrafts = (): void => put([])
