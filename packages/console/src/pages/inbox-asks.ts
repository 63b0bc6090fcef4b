import { query } from '../api.ts'

/** The views of the inbox. `asks`: the query that the page sends to the server. */
export const views = {
  mine: { title: 'For you', asks: { state: 'pending', mine: 'true' }, empty: 'No agent waits for you.' },
  all: { title: 'All waiting', asks: { state: 'pending' }, empty: 'No agent waits.' },
  answered: { title: 'Answered', asks: { state: 'answered' }, empty: 'Nothing has been answered yet.' },
} as const
export type View = keyof typeof views
export const viewTitles = { mine: views.mine.title, all: views.all.title, answered: views.answered.title }
export const viewOf = (text: string | undefined): View =>
  text !== undefined && Object.hasOwn(views, text) ? (text as View) : 'mine'

export const filterNames = ['risk', 'mode', 'agent', 'rule'] as const
export type Filters = Partial<Record<(typeof filterNames)[number], string>>

/** Where the server is asked for rows of the inbox. */
export const rowsAt = (
  view: View,
  q: string,
  filters: Filters,
  range: { cursor?: string; through?: string | undefined; until?: string | undefined } = {},
): string => `/requests${query({ ...views[view].asks, ...filters, q, ...range })}`
