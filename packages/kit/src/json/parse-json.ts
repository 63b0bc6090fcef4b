type Reviver = (key: string, value: unknown, context: { source?: string }) => unknown

/**
 * Like `JSON.parse`, but avoids a bug of V8 (14.6, Node.js 26): after parsing an object `{"a":1,"\\":1}`, V8 gives a later
 * `{"a":1,"\u0062":2}` the key `\` instead of `b`. An adversary could use this to show the decision point one argument and the tool
 * another. V8 compares the key that it expects with only as many characters of the text as the actual key has, before escapes are decoded.
 * So if a key contains an escape, each key is parsed separately, and the whole document with substitute names. Throws like `JSON.parse`; a
 * `reviver` must not look at keys.
 */
export function parseJson(text: string, reviver?: Reviver): unknown {
  const value: unknown = JSON.parse(text, reviver as never)
  if (!hasEscapedKey(text)) return value
  const { renamed, names } = withPlainKeys(text)
  return named(JSON.parse(renamed, reviver as never), names)
}

function hasEscapedKey(text: string): boolean {
  if (!text.includes('\\')) return false
  for (const [open, close] of keysIn(text)) if (text.slice(open, close).includes('\\')) return true
  return false
}

/** The same document with `k0`, `k1`, … as keys: equal keys stay equal. `names` holds the original of each. */
function withPlainKeys(text: string): { renamed: string; names: string[] } {
  const numbers = new Map<string, number>()
  let renamed = ''
  let from = 0
  for (const [open, close] of keysIn(text)) {
    const name: string = JSON.parse(text.slice(open, close + 1))
    const number = numbers.get(name) ?? numbers.size
    numbers.set(name, number)
    renamed += `${text.slice(from, open)}"k${number}"`
    from = close + 1
  }
  return { renamed: renamed + text.slice(from), names: [...numbers.keys()] }
}

function named(value: unknown, names: readonly string[]): unknown {
  if (Array.isArray(value)) return value.map((item) => named(item, names))
  // Only for objects that JSON.parse itself made: a reviver may have put others there.
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [names[Number(key.slice(1))] ?? '', named(member, names)]),
  )
}

/** The positions of the quotes of each key in valid JSON: a string followed by a colon. */
function* keysIn(text: string): Generator<[open: number, close: number]> {
  for (let open = text.indexOf('"'); open !== -1; ) {
    const close = endOfString(text, open)
    let after = close + 1
    while (isSpace(text.charCodeAt(after))) after++
    if (text.charCodeAt(after) === 0x3a) yield [open, close]
    open = text.indexOf('"', after)
  }
}

const isSpace = (code: number) => code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09

/** The index of the closing quote, or -1. A quote closes the string unless an odd number of backslashes precedes it. */
export function endOfString(text: string, open: number): number {
  for (let quote = text.indexOf('"', open + 1); quote !== -1; quote = text.indexOf('"', quote + 1)) {
    let before = quote - 1
    while (text.charCodeAt(before) === 0x5c) before--
    if ((quote - before) % 2 === 1) return quote
  }
  return -1
}
