import { ServiceError } from '@bailiwick/errors'
import { type DefaultTreeAdapterTypes, defaultTreeAdapter, parse, type Token, Tokenizer } from 'parse5'
import { asksForFactor } from './field-names.ts'

/** One tag as it stands in a page. */
export interface Tag {
  readonly name: string
  /** Its attributes by name, decoded. Of equal names the first counts, as in browsers. */
  readonly attributes: Readonly<Record<string, string>>
  /** Where it begins and ends in the text. */
  readonly from: number
  readonly to: number
}

/** The limits of a page: a larger one would block the gateway's only thread for too long (V18). */
const mostTags = 20_000
const longestTag = 256 * 1024
const mostRead = 4 * 1024 * 1024
const mostAttributes = 64

/**
 * All inputs, buttons and `<meta>` of a page. Each is read by itself, wherever its `<` stands: a comment, a script, or an attribute that
 * another person left open (dangling markup) hides no tag. Throws `answer_withheld` if there are too many.
 */
export function tagsOf(text: string): readonly Tag[] {
  const tags: Tag[] = []
  let read = 0
  const most = Math.min(2 * text.length, mostRead)
  for (const { index } of text.matchAll(/<(?:input|button|meta)(?=[\s/>\\])/gi)) {
    const tag = tagAt(text, index)
    read += (tag?.to ?? text.length) - index
    const attributes = Object.keys(tag?.attributes ?? {}).length
    if (tags.length >= mostTags || read > most || tag === undefined || attributes > mostAttributes)
      throw new ServiceError('answer_withheld', 'a page that cannot be read for certain')
    tags.push(tag)
  }
  return tags
}

function tagAt(text: string, from: number): Tag | undefined {
  let found: Tag | undefined
  // Most tags are short, and the tokenizer reads its whole input.
  for (let length = 1024; found === undefined; length *= 16) {
    const piece = text.slice(from, from + Math.min(length, longestTag))
    found = firstTag(piece, from)
    if (from + length >= text.length || length >= longestTag) break
  }
  return found
}

function firstTag(piece: string, from: number): Tag | undefined {
  let found: Tag | undefined
  const ignore = () => undefined
  const tokenizer = new Tokenizer(
    { sourceCodeLocationInfo: true },
    {
      onStartTag({ tagName, attrs, location }: Token.TagToken) {
        found ??= {
          name: tagName,
          attributes: Object.fromEntries(attrs.map(({ name, value }) => [name, bare(value)])),
          from,
          to: from + (location?.endOffset ?? piece.length),
        }
        tokenizer.pause()
      },
      ...{ onEndTag: ignore, onComment: ignore, onDoctype: ignore, onEof: ignore },
      ...{ onCharacter: ignore, onNullCharacter: ignore, onWhitespaceCharacter: ignore },
    },
  )
  tokenizer.write(piece, true)
  return found
}

/** Inside a script or JSON, quotes are escaped: `value=\"x\"`. */
const bare = (value: string): string => value.replace(/^\\["']?|\\["']?$/g, '')

/** A form of a page: where it is sent, and its hidden fields. */
export interface LoginForm {
  readonly action: string | undefined
  readonly hidden: readonly (readonly [string, string])[]
}

export type Element = DefaultTreeAdapterTypes.Element

/** The form with this `id` or `name`; without one, the only form with a password field. Undefined if there is none, or several. */
export function loginFormOf(text: string, called: string | undefined): LoginForm | undefined {
  const forms = elementsIn(parse(text)).filter(({ tagName }) => tagName === 'form')
  const meant = forms.filter((form) =>
    called === undefined
      ? inputsOf(form).some((input) => attribute(input, 'type')?.toLowerCase() === 'password')
      : [attribute(form, 'id'), attribute(form, 'name')].includes(called),
  )
  const [form, another] = meant
  if (form === undefined || another !== undefined) return undefined
  const hidden = inputsOf(form).flatMap((input): [string, string][] => {
    const name = attribute(input, 'name')
    const isHidden = attribute(input, 'type')?.toLowerCase() === 'hidden'
    return isHidden && name !== undefined && name !== '' ? [[name, attribute(input, 'value') ?? '']] : []
  })
  return { action: attribute(form, 'action'), hidden }
}

const inputsOf = (form: Element): Element[] => elementsIn(form).filter(({ tagName }) => tagName === 'input')

/** All elements below a node, in the order of the page. */
export function elementsIn(root: DefaultTreeAdapterTypes.ParentNode): Element[] {
  const found: Element[] = []
  const waiting: DefaultTreeAdapterTypes.ChildNode[] = [...root.childNodes].reverse()
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    if (!defaultTreeAdapter.isElementNode(node)) continue
    found.push(node)
    waiting.push(...[...node.childNodes].reverse())
  }
  return found
}

export const attribute = ({ attrs }: Element, name: string): string | undefined =>
  attrs.find((each) => each.name === name)?.value

const typeOf = ({ attributes }: Tag): string => (attributes.type ?? '').trim().toLowerCase()

/** Whether the page has all of these fields, one of them for a password: then it is the login page. */
export function isLoginPage(tags: readonly Tag[], fields: readonly string[]): boolean {
  const inputs = tags.filter(({ name }) => name === 'input')
  const named = new Set(inputs.map(({ attributes }) => attributes.name))
  const hasPassword = inputs.some((tag) => typeOf(tag) === 'password' && fields.includes(tag.attributes.name ?? ''))
  return hasPassword && fields.every((field) => named.has(field))
}

/** Whether the page asks for a code. `further`: names of fields that ask for one in this application. */
export const asksForSecondFactor = (tags: readonly Tag[], further: readonly string[]): boolean =>
  tags.some((tag) => {
    if (tag.name !== 'input' || ['hidden', 'checkbox', 'radio', 'submit', 'button'].includes(typeOf(tag))) return false
    const { name = '', autocomplete = '' } = tag.attributes
    return (
      asksForFactor(name) || further.includes(name) || autocomplete.toLowerCase().split(/\s+/).includes('one-time-code')
    )
  })

/** The first value of an input, or content of a `<meta>`, of this name. */
export const valueIn = (tags: readonly Tag[], element: 'input' | 'meta', name: string): string | undefined =>
  tags.find((tag) => tag.name === element && tag.attributes.name === name)?.attributes[
    element === 'input' ? 'value' : 'content'
  ]

export const isHidden = (tag: Tag): boolean => tag.name === 'input' && typeOf(tag) === 'hidden'
export const isPassword = (tag: Tag): boolean => tag.name === 'input' && typeOf(tag) === 'password'
