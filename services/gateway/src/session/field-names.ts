/** Names of fields, cookies and attributes that hold a session or a token against forged requests. */
const words = 'csrf|xsrf|crumb|token|sesskey|sectok|authenticity|requestverification|sessid|session_?id'
const tokenWord = new RegExp(words, 'i')

export const looksLikeToken = (name: string): boolean => tokenWord.test(name)

/** Whether a field sets or asks for a password: `new_password1`, `passwd`, `pwd`. */
export const looksLikePassword = (name: string): boolean => /pass(?:word|wd|wort|phrase)|\bpwd|kennwort/i.test(name)

const mfaNames =
  /^(?:otp|totp|mfa|2fa|tfa)$|^(?:.*[-_.])?(?:otp|totp|mfa|2fa|tfa|two[-_]?factor|second[-_]?factor)[-_.]?(?:code|token|pin)?$|^(?:verification|auth|authentication|security)[-_]?code$/i

/** Whether a field asks for a second factor. */
export const asksForFactor = (name: string): boolean => mfaNames.test(name)

/** A quote, as HTML, scripts, JSON and queries write it. */
const quotes = String.raw`(?:\\?["']|&quot;|&#(?:34|39|x27);|\\u002[27]|%2[27]){0,2}`
/** The rest of a name is taken as a whole, and never again in parts: otherwise a hostile page would cost seconds. */
const sign = String.raw`(?:[:=,]|%3D|\\u003d|=&gt;)\s{0,4}${quotes}`
/** The text of an element counts if it has a digit: words for people mostly have none. */
const content = String.raw`>(?=[A-Za-z+/_.~%=-]{0,256}\d)`
const between = String.raw`(?=([\w.-]{0,40}))\1${quotes}(?:(?<=["'72;])[^<>\n]{0,60}?\b(?:value|content))?\s{0,4}(?:${sign}|${content})`
const escaped = (name: string): string => name.replaceAll(/[.*+?^$|()[\]{}\\/-]/g, '\\$&')

/**
 * Words for a token with a value behind them, as HTML, scripts, JSON and queries write it. They begin at the word, not at the whole name, so
 * that a long text costs little. `further`: names that an application has for its tokens, whose values may be short.
 */
export function namedValues(further: readonly string[]): RegExp[] {
  const behind = (names: string, shortest: number) =>
    new RegExp(`(?:${names})${between}([A-Za-z0-9+/_.~%-]{${shortest},4096}={0,2})`, 'gi')
  return [behind(words, 16), ...(further.length === 0 ? [] : [behind(further.map(escaped).join('|'), 8)])]
}
