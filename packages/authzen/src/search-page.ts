import type { PageRequest } from '@bailiwick/contracts/api'
import { ServiceError } from '@bailiwick/errors'
import type { AuthZenFound, AuthZenSearch } from './decider.ts'
import type { PageTokens } from './page-tokens.ts'

/**
 * The answer to a search (AuthZEN Authorization API 1.0 §8.3): results in the order of their code units, each once; all of them unless a
 * page is asked for. The next page begins after the last result of the previous one, even if the results changed meanwhile.
 */
export function searchAnswer(
  search: AuthZenSearch,
  { ids, context }: AuthZenFound,
  page: PageRequest | undefined,
  tokens: PageTokens,
): object {
  const all = [...new Set(ids)].sort((a, b) => (a < b ? -1 : 1))
  const said = context === undefined ? {} : { context }
  if (page === undefined) return { ...said, results: all.map((id) => resultOf(search, id)) }
  const { after, limit } = markOf(search, page, tokens)
  const left = after === undefined ? all : all.filter((id) => id > after)
  const given = left.slice(0, limit)
  const more = left.length > given.length
  const next_token = more ? tokens.seal(search, { after: given.at(-1) ?? after, limit: limit ?? given.length }) : ''
  return {
    page: { next_token, count: given.length, total: all.length },
    ...said,
    results: given.map((id) => resultOf(search, id)),
  }
}

/** §8.2: a later page keeps the limit of the first. A request that repeats the limit must repeat the same one. */
function markOf(search: AuthZenSearch, { token, limit }: PageRequest, tokens: PageTokens) {
  if (token === undefined) return { after: undefined, limit }
  const mark = tokens.open(search, token)
  if (limit !== undefined && limit !== mark.limit)
    throw new ServiceError('request_malformed', 'page.limit: not the one that the search began with')
  return mark
}

function resultOf(search: AuthZenSearch, id: string): object {
  if (search.entity === 'action') return { name: id }
  return { type: search.entity === 'subject' ? search.subject.type : search.resource.type, id }
}
