import type { RawHeaders } from '@bailiwick/relay'
import type { Seen } from './application.ts'

/** The fields of an answer that an agent needs. All others stay here: cookies, caches, validators, links, and fields of the application's own. */
const shown: ReadonlySet<string> = new Set([
  'allow',
  'content-disposition',
  'content-language',
  'content-type',
  'retry-after',
])

/**
 * The head as the agent gets it. A redirect is shown only if it leads to an operation; `passes` says whether a text holds nothing of the
 * session. The length is left out: what is taken out of the page changes it.
 */
export function shownHead(
  { headers, redirect }: Pick<Seen, 'headers' | 'redirect'>,
  addressOf: (target: string) => string | undefined,
  passes: (text: string) => boolean,
): RawHeaders {
  const kept: string[] = []
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const [name = '', value = ''] = [headers[at]?.toLowerCase(), headers[at + 1]]
    if (shown.has(name) && /^[\x20-\x7e]*$/.test(value) && passes(value)) kept.push(name, value)
  }
  const address = redirect === undefined ? undefined : addressOf(redirect)
  if (address !== undefined && passes(address)) kept.push('location', address)
  return [...kept, 'x-content-type-options', 'nosniff']
}
