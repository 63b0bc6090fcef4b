/** One call in a source, with its arguments as they are written. */
export interface SourceCall {
  path: string
  /** What the expression ended with: the name of a method. */
  method: string
  args: string[]
  /** The whole source, where constants are looked up. */
  source: string
}

const closing: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' }

/** The calls whose head matches, such as `/\bmetrics\.(counter)\(/g`: the first group is the method. */
export function callsIn(path: string, source: string, head: RegExp): SourceCall[] {
  const code = blanked(source)
  return [...code.matchAll(head)].map((match) => {
    const from = match.index + match[0].length
    return { path, method: match[1] ?? '', args: argumentsAt(source, code, from), source }
  })
}

/** The text of an argument: literals, joined ones, or a constant of the same source. `undefined` where it is made at run time. */
export function textOf(argument: string | undefined, source: string): string | undefined {
  if (argument === undefined) return undefined
  const parts = argument.split(/\s\+\s/).map((part) => literal(part.trim()))
  if (parts.every((part) => part !== undefined)) return parts.join('')
  const named = constant(argument, source)
  return named === undefined ? undefined : textOf(named, source)
}

/** The texts of an array that is written out, or of a constant that is one. No argument: none. */
export function listOf(argument: string | undefined, source: string): string[] | undefined {
  if (argument === undefined) return []
  const inner = /^\[([\s\S]*)\]$/.exec(argument.replace(/ as const$/, ''))?.[1]
  if (inner !== undefined) {
    const texts = inner.split(',').filter((part) => part.trim() !== '')
    const read = texts.map((part) => literal(part.trim()))
    return read.every((text) => text !== undefined) ? read : undefined
  }
  const named = constant(argument, source)
  return named === undefined ? undefined : listOf(named, source)
}

/** The names of an object that is written out. */
export function keysOf(argument: string): string[] | undefined {
  if (!argument.startsWith('{')) return undefined
  const code = blanked(argument)
  return argumentsAt(argument, code, 1, '}').flatMap((member) => /^[a-z_]+(?=\s*(:|$))/i.exec(member)?.[0] ?? [])
}

function literal(text: string): string | undefined {
  const [, quote, inner] = /^(['"`])([\s\S]*)\1$/.exec(text) ?? []
  if (quote === undefined || inner === undefined) return undefined
  if (quote === '`') return inner.includes('$' + '{') ? undefined : inner
  return inner.includes(quote) ? undefined : inner.replaceAll('\\', '')
}

function constant(name: string, source: string): string | undefined {
  if (!/^[a-zA-Z]\w*$/.test(name)) return undefined
  return new RegExp(`const ${name}\\s*=\\s*\\n?\\s*([^\\n]+(?:\\n\\s+'[^\\n]*)*)`).exec(source)?.[1]?.trim()
}

/** Splits at the commas of the outermost level, up to the bracket that closes. */
function argumentsAt(source: string, code: string, from: number, end = ')'): string[] {
  const args: string[] = []
  const open: string[] = []
  let start = from
  for (let at = from; at < code.length; at++) {
    const letter = code[at] ?? ''
    if (open.length === 0 && (letter === ',' || letter === end)) {
      const text = source
        .slice(start, at)
        .replace(/^(\s*\/\/[^\n]*\n)+/, '')
        .trim()
      if (text !== '') args.push(text)
      start = at + 1
      if (letter === end) return args
    } else if (letter in closing) open.push(closing[letter] ?? '')
    else if (letter === open.at(-1)) open.pop()
  }
  throw new Error(`a call does not end: ${source.slice(from, from + 80)}`)
}

/** The same length, with strings and comments blanked out, so that brackets and commas in them do not count. */
function blanked(source: string): string {
  return source.replace(
    /\/\/[^\n]*|\/\*[\s\S]*?\*\/|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`/g,
    (text) => text.replace(/[^\n]/g, ' '),
  )
}
