import { type DefaultTreeAdapterTypes, defaultTreeAdapter, parse } from 'parse5'
import { looksLikePassword, looksLikeToken } from '../session/field-names.ts'
import { attribute, type Element, elementsIn } from '../session/page.ts'

/** Facts about an application, read from a page that it shows after the login. */
export interface InnerPage {
  /** How the session ends: addresses as the page writes them. The first one is the likeliest. */
  readonly logout: { readonly method: 'GET' | 'POST'; readonly address: string; readonly shows: string } | undefined
  /** The token against forged requests. */
  readonly token: { readonly input: string } | { readonly meta: string } | undefined
  /** Addresses of pages that change how one logs in. */
  readonly closed: readonly string[]
}

const leaving =
  /log[-_ ]?out|log[-_ ]?off|sign[-_ ]?out|abmeld|d[eé]connexion|cerrar[-_ ]?sesi|esci\b|uitlog|logga[-_ ]?ut/i
const ofAccount = /two[-_]?factor|\b(?:2fa|mfa|totp|otp)\b|api[-_]?keys?|access[-_]?tokens?/i

/** Reads a page, in UTF-8. */
export function innerPage(html: string): InnerPage {
  const all = elementsIn(parse(html))
  const forms = all.filter(({ tagName }) => tagName === 'form')
  const links = all.filter(({ tagName }) => tagName === 'a')
  const addresses = [...links.map((link) => attribute(link, 'href')), ...forms.map((form) => attribute(form, 'action'))]
  const hidden = forms.filter(isPost).flatMap(hiddenIn)
  const input = hidden.find(looksLikeToken)
  const meta = all.filter(({ tagName }) => tagName === 'meta').map((each) => attribute(each, 'name') ?? '')
  const named = meta.find(looksLikeToken)
  return {
    logout: logoutIn(forms, links),
    token: input === undefined ? (named === undefined ? undefined : { meta: named }) : { input },
    closed: [...new Set(addresses.filter((text) => text !== undefined))].filter((address) => {
      const [path = ''] = address.split(/[?#]/)
      return (looksLikePassword(path) || ofAccount.test(path)) && !leaving.test(path)
    }),
  }
}

function logoutIn(forms: readonly Element[], links: readonly Element[]): InnerPage['logout'] {
  for (const form of forms) {
    const address = attribute(form, 'action') ?? ''
    const button = elementsIn(form).find(({ tagName }) => tagName === 'button')
    const shows = button === undefined ? '' : textIn(button)
    if (address !== '' && (leaving.test(address) || leaving.test(shows)))
      return { method: isPost(form) ? 'POST' : 'GET', address, shows }
  }
  const link = links.find((each) => leaving.test(attribute(each, 'href') ?? '') || leaving.test(textIn(each)))
  const address = link && attribute(link, 'href')
  return link === undefined || address === undefined ? undefined : { method: 'GET', address, shows: textIn(link) }
}

const isPost = (form: Element): boolean => (attribute(form, 'method') ?? 'get').toLowerCase() === 'post'

const hiddenIn = (form: Element): string[] =>
  elementsIn(form)
    .filter((each) => each.tagName === 'input' && attribute(each, 'type')?.toLowerCase() === 'hidden')
    .map((each) => attribute(each, 'name') ?? '')

function textIn(root: DefaultTreeAdapterTypes.ParentNode): string {
  const texts = root.childNodes.map((node) =>
    defaultTreeAdapter.isTextNode(node) ? node.value : defaultTreeAdapter.isElementNode(node) ? textIn(node) : '',
  )
  return texts.join('').replace(/\s+/g, ' ').trim()
}
