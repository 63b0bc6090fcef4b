/** Names of members that hold secrets, in any spelling: `Authorization`, `client_assertion`, `accessToken`, `rawHeaders`. */
const SECRET_NAME =
  /(?:authorization|dpop|cookie|assertion|token|jws|jwt|proof|secret|password|passphrase|private[-_]?key|rawheaders)s?$/i

/** The same names, searched for in a line of JSON: most lines have none and are not parsed. A private JWK has a member `d`. */
const SECRET_IN_LINE =
  /(?:authorization|dpop|cookie|assertion|token|jws|jwt|proof|secret|password|passphrase|private[-_]?key|rawheaders)s?":|"d":/i

// The lookbehind keeps the search linear: a run of such characters is entered once.
const COMPACT_JWS = /(?<![\w-])eyJ[\w-]+\.[\w-]+\.[\w-]*/g
const AUTHORIZATION = /(?<![\w-])(Bearer|DPoP|Basic) +[\w.~+/=-]{8,}/gi
const PRIVATE_KEY = /-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*(?:-----END [A-Z ]*PRIVATE KEY-----)?/g

const REDACTED = '[redacted]'

/**
 * Removes from a line of JSON everything that looks like a secret, by name and by form, wherever it is (V17). This is a safety net, not
 * the rule: do not pass secrets to the logger.
 */
export function redactLine(line: string): string {
  const named = SECRET_IN_LINE.test(line) ? redactNamed(line) : line
  return named.replace(COMPACT_JWS, REDACTED).replace(AUTHORIZATION, `$1 ${REDACTED}`).replace(PRIVATE_KEY, REDACTED)
}

function redactNamed(line: string): string {
  const seen: unknown = JSON.parse(line, function (this: unknown, name: string, value: unknown) {
    if (value === null || typeof value === 'number' || typeof value === 'boolean') return value
    const privateJwk = name === 'd' && typeof this === 'object' && this !== null && 'kty' in this
    return privateJwk || SECRET_NAME.test(name) ? REDACTED : value
  })
  return `${JSON.stringify(seen)}\n`
}
