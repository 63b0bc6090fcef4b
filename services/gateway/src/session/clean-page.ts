import { ServiceError } from '@bailiwick/errors'
import { SecretScreen } from '@bailiwick/relay'
import { longestToken, type Page } from './application.ts'
import { looksLikeToken, namedValues } from './field-names.ts'
import { isHidden, isPassword } from './page.ts'

export interface CleanOptions {
  /** Hidden fields that an operation takes: the agent must see them to send them back. */
  shown: ReadonlySet<string>
  /** Names besides the usual ones whose values are taken out: those of the token, and of cookies. */
  named: readonly string[]
  /** Values that no page may show: cookies, secrets, and tokens that were sent. */
  hidden: readonly string[]
}

/** A shorter value could appear in a page by chance. */
const findable = 8
/** How many tokens a page may have, and how many of them are looked for in other spellings: each costs time for the whole page (V18). */
const [mostTokens, mostSpelled] = [256, 16]

/**
 * A page as the agent gets it, in Latin-1 for its bytes. Inputs that are hidden or hold a token, and tokens in scripts, links and attributes,
 * are taken out: the gateway itself fills tokens in. Nothing else changes. Throws `answer_withheld` if a part of the session is left, also if
 * a value that was named like a token stands in a second place without its name: people can write such a name, and what else it would take
 * out is theirs to choose.
 */
export function cleanPage({ text, tags, isHtml }: Page, { shown, named, hidden }: CleanOptions): string {
  const tokens = new Set<string>()
  const written = new Set<string>()
  const isToken = (name: string) => looksLikeToken(name) || named.includes(name)
  const kept: string[] = []
  let at = 0
  for (const tag of tags) {
    const { name = '', value = '', content = '' } = tag.attributes
    const holdsToken = isToken(name)
    if (holdsToken)
      for (const each of [value, content]) {
        if (each.length > longestToken) throw new ServiceError('answer_withheld', 'a token that is too long')
        // In JSON and plain text, a person can write a tag.
        if (each.length >= findable) (isHtml ? tokens : written).add(each)
      }
    const isTakenOut = holdsToken || (isHidden(tag) && !shown.has(name)) || (isPassword(tag) && value !== '')
    if (!isTakenOut) continue
    // One tag may begin inside another, where its quotes mean something else.
    if (tag.from > at) kept.push(text.slice(at, tag.from))
    at = Math.max(at, tag.to)
  }
  kept.push(text.slice(at))
  let clean = kept.join('')
  for (const each of namedValues(named))
    clean = clean.replaceAll(each, (whole, _, value: string) => {
      written.add(value)
      return whole.slice(0, whole.length - value.length)
    })
  if (tokens.size + written.size > mostTokens)
    throw new ServiceError('answer_withheld', 'a page that cannot be read for certain')
  for (const token of tokens) clean = clean.replaceAll(token, '')
  const looked = [...tokens, ...written].slice(0, mostSpelled)
  if ([...written].some((each) => clean.includes(each)) || !passes(clean, [...looked, ...hidden])) throw withheld()
  return clean
}

const withheld = () => new ServiceError('answer_withheld', 'the answer holds a part of the session')

/** Whether none of the values is in a text, in any spelling that is looked for. */
export function passes(text: string, values: readonly string[]): boolean {
  const screen = new SecretScreen(values)
  return screen.hidesNothing || screen.pass(Buffer.from(text, 'latin1')) !== undefined
}
