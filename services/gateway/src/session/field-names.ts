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
const between = String.raw`(?=([\w.-]{0,40}))\1${quotes}(?:(?<=["'72;])[^<>\n]{0,60}?\b(?:value|content))?\s{0,4}(?:[:=,]|%3D|\\u003d|=&gt;)\s{0,4}${quotes}`
const escaped = (name: string): string => name.replaceAll(/[.*+?^$|()[\]{}\\/-]/g, '\\$&')

/**
 * A word for a token with a value behind it, as HTML, scripts, JSON and queries write it. It begins at the word, not at the whole name, so that
 * a long text costs little.
 */
export const namedValues = (further: readonly string[]): RegExp =>
  new RegExp(`(?:${[words, ...further.map(escaped)].join('|')})${between}([A-Za-z0-9+/_.~%-]{16,4096}={0,2})`, 'gi')
