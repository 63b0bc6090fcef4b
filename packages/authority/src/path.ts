import type { Authority, Constraint } from './schema.ts'

/**
 * A `prefix` that ends in `/` is a *path prefix*: a value lies inside it only if every server that reads the value as a path stays inside
 * too. Any other prefix is plain text, and not a boundary for paths: `/srv/rep` is also a prefix of `/srv/rep/../../etc`.
 */
export function isPathPrefix(prefix: string): boolean {
  return prefix.endsWith('/')
}

/** Whether a value satisfies a prefix: it starts with it and, for a path prefix, is a plain path. */
export function startsInside(value: string, prefix: string): boolean {
  return value.startsWith(prefix) && (!isPathPrefix(prefix) || isPlainPath(value, schemeOf(prefix)))
}

/** Whether every text that starts inside `child` starts inside `parent`. */
export function prefixWithin(child: string, parent: string): boolean {
  return isPathPrefix(parent)
    ? child === parent || (isPathPrefix(child) && startsInside(child, parent))
    : child.startsWith(parent)
}

/** The only `//` allowed in a path: that of a URL, entirely inside the prefix, so that no value can add one. */
const scheme = /^[a-z][a-z0-9+.-]*:\/\//i

/** NUL ends a path for a C library; URL parsers drop tabs and line feeds; Windows takes `\` for `/`. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not stand in a path
const unsafeCharacter = /[\0-\x1f\x7f-\x9f\\]/

/** White space in every spelling that a server may decode: literal, `+` as in a form field, escaped UTF-8. */
const space = String.raw`[\s+]|%(?:20|c2%(?:85|a0)|e1%9a%80|e2%80%(?:8[0-9a]|a[89f])|e2%81%9f|e3%80%80|ef%bb%bf)`

/**
 * A segment that some server reads as `.` or `..`: dots and white space (which Windows and many readers trim), up to its end, to something
 * that a server cuts off (`..;x`, `..::$DATA`), or to something that it decodes (`..%41`). Longer runs of dots count too: old Windows
 * servers climb up on them.
 */
const dotSegment = new RegExp(`(?:^|/)(?:\\.|${space})+(?:[/;?#:%]|$)`, 'i')

/**
 * A percent sign that can turn into part of a path later: one that escapes nothing (`%%32e` becomes `%2e`), a control character, an escaped
 * `%`, `.`, `/`, `\` or DEL, and bytes that begin overlong or invalid UTF-8 (`%c0%ae`).
 */
const unsafeEscape = /%(?![2-9a-f][0-9a-f])|%(?:2[5ef]|5c|7f|c[01]|e0%[89]|f0%8|f[5-9a-f])/i

function schemeOf(prefix: string): string {
  return scheme.exec(prefix)?.[0] ?? ''
}

/** `schemeBefore`: the beginning of the text, which is not judged. */
function isPlainPath(text: string, schemeBefore: string): boolean {
  const path = text.slice(schemeBefore.length)
  return !(unsafeCharacter.test(path) || path.includes('//') || dotSegment.test(path) || unsafeEscape.test(path))
}

/** Text that people read as a path: it has a separator, or begins like a home folder, a drive or a relative path. */
const looksLikePath = /[/\\]|^~|^[a-z]:|^\.{1,2}$/i

/**
 * The first prefix that promises a boundary it does not keep: it looks like a path but is not a path prefix, or is a path prefix inside
 * which nothing can lie. `undefined` if there is none. Old grants may contain such a prefix, and it means what `covers` defines; new
 * requests must not contain one.
 */
export function misleadingPrefix({ permissions }: Authority): string | undefined {
  for (const [at, { where = {} }] of permissions.entries()) {
    const why = Object.values(where).map(faultOf).find(Boolean)
    if (why !== undefined) return `/permissions/${at}/where: ${why}`
  }
  return undefined
}

function faultOf({ prefix }: Constraint): string | undefined {
  if (prefix === undefined) return undefined
  if (!isPathPrefix(prefix)) {
    return looksLikePath.test(prefix)
      ? 'a prefix that looks like a path must end in /: end it in /, or list the values with in'
      : undefined
  }
  return startsInside(prefix, prefix)
    ? undefined
    : 'a path prefix must be a plain path, without . or .. segments, //, \\, control characters or escapes of these'
}
