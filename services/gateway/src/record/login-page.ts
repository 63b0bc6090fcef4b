import { parse } from 'parse5'
import { looksLikePassword } from '../session/field-names.ts'
import { attribute, type Element, elementsIn } from '../session/page.ts'

/** A login form as a person sees it. */
export interface FoundForm {
  /** Its `id` or `name`, if the page has several forms with a password field. */
  readonly called: string | undefined
  /** The field for the account's name, and whether the page says so. */
  readonly user: { readonly name: string; readonly isGuessed: boolean }
  readonly password: string
  /** What a browser also sends, except hidden fields: the button, and what is chosen already. */
  readonly further: readonly (readonly [name: string, value: string])[]
  /** Fields that a person would fill in or tick, and that a browser leaves out otherwise. */
  readonly left: readonly string[]
}

const typeOf = (input: Element): string => (attribute(input, 'type') ?? 'text').trim().toLowerCase()
const nameOf = (element: Element): string => attribute(element, 'name') ?? ''
const isTyped = (input: Element): boolean => ['text', 'email', 'tel', ''].includes(typeOf(input))
const userName = /user|login|mail|account|name|uid|benutzer|kennung|konto/i

/** The login form of a page, in UTF-8; or why there is none that the gateway can fill in. */
export function loginFormIn(html: string): FoundForm | { readonly fault: string } {
  const all = elementsIn(parse(html))
  const forms = all.filter(({ tagName }) => tagName === 'form').filter((form) => passwordsIn(form).length > 0)
  // A form with two passwords sets a new one.
  const [form, ...others] = forms.filter((each) => passwordsIn(each).length === 1)
  if (form === undefined)
    return {
      fault: all.some((each) => each.tagName === 'input' && typeOf(each) === 'password')
        ? 'its password field stands in no form that has only one: a script sends it, and the gateway runs no scripts'
        : 'it has no form with a password field. If a script draws the form, the gateway cannot log in here',
    }
  if (others.length > 0) return { fault: 'it has several forms with one password field' }
  const called = attribute(form, 'id') ?? attribute(form, 'name')
  if (forms.length > 1 && (called ?? '') === '')
    return { fault: 'it has several forms with a password field, and this one has neither id nor name' }
  if ((attribute(form, 'method') ?? 'get').toLowerCase() !== 'post')
    return { fault: 'its form is not sent by POST: a script sends it, or the password would stand in an address' }
  const inputs = elementsIn(form).filter(({ tagName }) => tagName === 'input')
  const [password = ''] = passwordsIn(form)
  if (inputs.some((input) => /captcha/i.test(nameOf(input)))) return { fault: 'it asks for a captcha' }
  const before = inputs.slice(
    0,
    inputs.findIndex((input) => nameOf(input) === password),
  )
  const typed = inputs.filter((input) => isTyped(input) && nameOf(input) !== '')
  const named = typed.filter((input) => userName.test(nameOf(input)) || isForUser(input))
  const user = named[0] ?? before.filter((input) => typed.includes(input)).at(-1)
  if (user === undefined) return { fault: 'its form has no field for the name of an account' }
  const rest = typed.filter((input) => input !== user)
  return {
    called: forms.length > 1 ? called : undefined,
    user: { name: nameOf(user), isGuessed: typed.length > 1 && !isForUser(user) },
    password,
    further: [...chosenIn(form), ...rest.flatMap((input) => given(nameOf(input), attribute(input, 'value')))],
    left: [...rest.filter((input) => !attribute(input, 'value')).map(nameOf), ...unticked(inputs)],
  }
}

const passwordsIn = (form: Element): string[] =>
  elementsIn(form)
    .filter((each) => each.tagName === 'input' && typeOf(each) === 'password' && nameOf(each) !== '')
    .map(nameOf)

const isForUser = (input: Element): boolean =>
  /\b(?:username|email)\b/i.test(attribute(input, 'autocomplete') ?? '') || typeOf(input) === 'email'

const given = (name: string, value: string | undefined): [string, string][] =>
  name === '' || value === undefined || value === '' || looksLikePassword(name) ? [] : [[name, value]]

const unticked = (inputs: readonly Element[]): string[] =>
  inputs
    .filter((input) => ['checkbox', 'radio'].includes(typeOf(input)) && attribute(input, 'checked') === undefined)
    .map(nameOf)
    .filter((name) => name !== '')

/** Boxes that are ticked, options that are chosen, and the first button, which a browser presses for the key Enter. */
function chosenIn(form: Element): [string, string][] {
  const all = elementsIn(form)
  const ticked = all.filter(
    (each) =>
      each.tagName === 'input' &&
      ['checkbox', 'radio'].includes(typeOf(each)) &&
      attribute(each, 'checked') !== undefined,
  )
  const selects = all.flatMap((each): [string, string][] => {
    if (each.tagName !== 'select') return []
    const options = elementsIn(each).filter(({ tagName }) => tagName === 'option')
    const chosen = options.find((option) => attribute(option, 'selected') !== undefined) ?? options[0]
    return chosen === undefined ? [] : given(nameOf(each), attribute(chosen, 'value'))
  })
  const button = all.find(
    (each) =>
      (each.tagName === 'input' && ['submit', 'image'].includes(typeOf(each))) ||
      (each.tagName === 'button' && (attribute(each, 'type') ?? 'submit').toLowerCase() === 'submit'),
  )
  return [
    ...ticked.flatMap((each) => given(nameOf(each), attribute(each, 'value') ?? 'on')),
    ...selects,
    ...(button === undefined ? [] : given(nameOf(button), attribute(button, 'value'))),
  ]
}
