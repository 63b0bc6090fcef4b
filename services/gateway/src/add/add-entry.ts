import { isDeepStrictEqual } from 'node:util'
import { ServiceError } from '@bailiwick/errors'
import { type Document, isMap, isScalar, type Pair, parseDocument, stringify } from 'yaml'

/** How a server is written in `gateway.yaml`, before the file is read. */
export type RawEntry = Readonly<Record<string, unknown>>

const head = `# The MCP gateway: bailiwick serve gateway --config FILE
# Each server below is at /mcp/NAME. bailiwick gateway add wrote this file; edit it as you like.
`

/** The servers in a text, as they are written there. Throws `config_invalid` for a text that is not a map of servers. */
export function rawServers(text: string, path: string): Readonly<Record<string, RawEntry>> {
  const content = contentOf(documentOf(text, path))
  const { mcp } = (content ?? {}) as { mcp?: unknown }
  return (mcp ?? {}) as Record<string, RawEntry>
}

/**
 * Returns the text with one more server, `name`, which it must not have yet. Everything else stays as a person wrote it: if `mcp` is a
 * block, the new lines follow its last line, and no other byte changes. Throws `config_invalid` for a text that cannot be extended.
 */
export function addEntry(text: string | undefined, name: string, entry: RawEntry, path: string): string {
  if (text === undefined || text.trim() === '')
    return `${text ?? head}${stringify({ mcp: { [name]: entry } }, { lineWidth: 0 })}`
  const document = documentOf(text, path)
  const before = (contentOf(document) ?? {}) as { mcp?: object | null }
  const wanted = { ...before, mcp: { ...before.mcp, [name]: entry } }
  const isAsWanted = (made: string | undefined): made is string =>
    made !== undefined && isDeepStrictEqual(contentOf(parseDocument(made, options)), wanted)
  const inserted = insertLines(text, document, name, entry)
  if (isAsWanted(inserted)) return inserted
  // For a flow map, or a file without `mcp`, the YAML library writes the file anew: it keeps comments, and may change spaces.
  if (isMap(document.get('mcp', true))) document.setIn(['mcp', name], document.createNode(entry))
  else document.set('mcp', document.createNode({ [name]: entry }))
  const written = document.toString({ lineWidth: 0 })
  if (isAsWanted(written)) return written
  throw new ServiceError(
    'config_invalid',
    `${path}: put the server under mcp yourself: ${JSON.stringify({ [name]: entry })}`,
  )
}

function insertLines(text: string, document: Document, name: string, entry: RawEntry): string | undefined {
  const mcp = document.get('mcp', true)
  if (!isMap(mcp) || mcp.flow === true) return undefined
  const last = mcp.items.at(-1) as Pair | undefined
  const key = last?.key
  const end = rangeOf(last?.value)?.[1]
  const start = isScalar(key) ? rangeOf(key)?.[0] : undefined
  if (start === undefined || end === undefined) return undefined
  const indent = start - (text.lastIndexOf('\n', start - 1) + 1)
  const newLine = text.includes('\r\n') ? '\r\n' : '\n'
  const lines = stringify({ [name]: entry }, { lineWidth: 0 })
    .trimEnd()
    .split('\n')
    .map((line) => `${' '.repeat(indent)}${line}${newLine}`)
  // The range of a block ends after its line break. Any other range ends before it, perhaps with a comment in between.
  const lineEnd = text[end - 1] === '\n' ? end : text.indexOf('\n', end) + 1
  if (lineEnd === 0) return `${text}${newLine}${lines.join('')}`
  return `${text.slice(0, lineEnd)}${lines.join('')}${text.slice(lineEnd)}`
}

const rangeOf = (node: unknown): readonly number[] | undefined =>
  typeof node === 'object' && node !== null && 'range' in node && Array.isArray(node.range) ? node.range : undefined

const options = { uniqueKeys: true, strict: true, merge: false, schema: 'core' } as const

function documentOf(text: string, path: string): Document {
  const document = parseDocument(text, options)
  const [broken] = document.errors
  if (broken !== undefined) throw new ServiceError('config_invalid', `${path}: ${broken.message.split('\n')[0]}`)
  const content = contentOf(document)
  const { mcp } = (content ?? {}) as { mcp?: unknown }
  if (Array.isArray(content) || typeof content === 'string' || Array.isArray(mcp) || typeof mcp === 'string')
    throw new ServiceError('config_invalid', `${path}: expected a map with the servers under mcp`)
  return document
}

function contentOf(document: Document): unknown {
  try {
    return document.toJS({ maxAliasCount: 0 })
  } catch (error) {
    throw new ServiceError('config_invalid', 'an alias, which is not read here', { cause: error })
  }
}
