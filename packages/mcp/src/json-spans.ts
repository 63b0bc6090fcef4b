/** A part of a text, from its first character to the one after its last. */
export interface Span {
  readonly start: number
  readonly end: number
}

/**
 * Where a member's value is in a JSON text, by the names on the path to it; undefined if there is none. The text must have been read by the
 * strict parser: then each name occurs once, and nothing has to be checked again here.
 */
export function memberSpan(text: string, path: readonly string[]): Span | undefined {
  let at = skipSpace(text, 0)
  for (const name of path) {
    const found = text[at] === '{' ? memberIn(text, at, name) : undefined
    if (found === undefined) return undefined
    at = found
  }
  return { start: at, end: endOfValue(text, at) }
}

/** The elements of the list at `list`. */
export function elementSpans(text: string, list: Span): Span[] {
  const spans: Span[] = []
  for (let at = skipSpace(text, list.start + 1); text[at] !== ']' && at < list.end; ) {
    const end = endOfValue(text, at)
    spans.push({ start: at, end })
    at = skipSpace(text, end)
    if (text[at] === ',') at = skipSpace(text, at + 1)
  }
  return spans
}

/** The text with only these elements in the list. All other characters stay as they are. */
export function keepElements(text: string, list: Span, kept: readonly Span[]): string {
  const elements = kept.map(({ start, end }) => text.slice(start, end)).join(',')
  return `${text.slice(0, list.start)}[${elements}]${text.slice(list.end)}`
}

/** The text whose list has these elements at its end. All other characters stay as they are. */
export function addElements(text: string, list: Span, added: readonly unknown[]): string {
  if (added.length === 0) return text
  const isEmpty = elementSpans(text, list).length === 0
  const elements = added.map((each) => JSON.stringify(each)).join(',')
  return `${text.slice(0, list.end - 1)}${isEmpty ? '' : ','}${elements}${text.slice(list.end - 1)}`
}

/** The members of the object that stands at `object`: each name, and where the member stands with its name and value. */
function memberSpans(text: string, object: Span): (Span & { name: string })[] {
  const spans: (Span & { name: string })[] = []
  for (let at = skipSpace(text, object.start + 1); text[at] === '"'; ) {
    const nameEnd = endOfString(text, at)
    const end = endOfValue(text, skipSpace(text, skipSpace(text, nameEnd) + 1))
    spans.push({ name: JSON.parse(text.slice(at, nameEnd)), start: at, end })
    at = skipSpace(text, end)
    if (text[at] === ',') at = skipSpace(text, at + 1)
  }
  return spans
}

/** The text whose object at `object` lacks the members that `drops` names, and has `added` besides. All other members stay as they are. */
export function changeMembers(
  text: string,
  object: Span,
  drops: (name: string) => boolean,
  added: Readonly<Record<string, unknown>> = {},
): string {
  const kept = memberSpans(text, object)
    .filter(({ name }) => !drops(name) && !Object.hasOwn(added, name))
    .map(({ start, end }) => text.slice(start, end))
  const more = Object.entries(added).map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`)
  return `${text.slice(0, object.start)}{${[...kept, ...more].join(',')}}${text.slice(object.end)}`
}

function memberIn(text: string, object: number, name: string): number | undefined {
  for (let at = skipSpace(text, object + 1); text[at] === '"'; ) {
    const end = endOfString(text, at)
    const value = skipSpace(text, skipSpace(text, end) + 1)
    if (JSON.parse(text.slice(at, end)) === name) return value
    at = skipSpace(text, endOfValue(text, value))
    if (text[at] === ',') at = skipSpace(text, at + 1)
  }
  return undefined
}

function endOfValue(text: string, start: number): number {
  const first = text[start]
  if (first === '"') return endOfString(text, start)
  if (first !== '{' && first !== '[') {
    let at = start
    while (at < text.length && !/[\s,\]}]/.test(text[at] ?? '')) at++
    return at
  }
  let depth = 0
  for (let at = start; at < text.length; at++) {
    const letter = text[at]
    if (letter === '"') at = endOfString(text, at) - 1
    else if (letter === '{' || letter === '[') depth++
    else if (letter === '}' || letter === ']') {
      depth--
      if (depth === 0) return at + 1
    }
  }
  return text.length
}

function endOfString(text: string, start: number): number {
  let at = start + 1
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1
  return at + 1
}

function skipSpace(text: string, start: number): number {
  let at = start
  while (text[at] === ' ' || text[at] === '\n' || text[at] === '\r' || text[at] === '\t') at++
  return at
}
