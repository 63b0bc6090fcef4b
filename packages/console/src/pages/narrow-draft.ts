/**
 * The fields of narrowings that were begun, by person and request. They outlive the end of a session, and go with the page: another person
 * who signs in gets none of them.
 */
const drafts = new Map<string, Fields>()
export type Fields = ReadonlyMap<string, string>

export interface Draft {
  has(): boolean
  /** undefined: the form is as it was asked. Else the fields that the form had; a box that was not ticked is not among them. */
  fields(): Fields | undefined
  keep(form: FormData): void
  drop(): void
}

export function draftOf(person: string, requestId: string): Draft {
  const name = JSON.stringify([person, requestId])
  return {
    has: () => drafts.has(name),
    fields: () => drafts.get(name),
    keep: (form) => void drafts.set(name, new Map([...form].map(([field, value]) => [field, String(value)]))),
    drop: () => void drafts.delete(name),
  }
}

/** For a person who signs out: nothing of theirs stays. */
export const dropDrafts = (): void => drafts.clear()
