import type { Refused } from '@bailiwick/errors'
import { fieldsOf, type RawHeaders } from '@bailiwick/kit'
import { type Era, isObject, type JsonObject, legacyVersions, type Message, metaOf, modernVersion } from './message.ts'
import { namedBy } from './methods.ts'

const versionMember = 'io.modelcontextprotocol/protocolVersion'

/**
 * The era that a message belongs to. Header field and body must agree (2026-07-28, Streamable HTTP, "Protocol Version Header"): a server
 * that routes by one and acts on the other would do something other than what was decided.
 */
export function readEra(headers: RawHeaders, message: Message): Era | Refused {
  const versions = fieldsOf(headers, 'mcp-protocol-version')
  if (versions.length > 1) return mismatch('MCP-Protocol-Version comes twice')
  const [header] = versions
  const inBody = message.kind === 'response' ? undefined : metaOf(message.params)[versionMember]
  if (inBody !== undefined && typeof inBody !== 'string') return mismatch(`params._meta.${versionMember} is no text`)
  if (inBody !== undefined && header !== inBody) return mismatch('MCP-Protocol-Version is not the version in the body')
  if (header === modernVersion) {
    // A notification need not say it again.
    if (message.kind === 'request' && inBody === undefined)
      return { refused: 'mcp_version_missing', detail: `params._meta.${versionMember}` }
    return 'modern'
  }
  if (header === undefined || legacyVersions.includes(header)) return 'legacy'
  return { refused: 'mcp_version_unsupported', detail: /^[\w.-]{1,32}$/.test(header) ? header : 'MCP-Protocol-Version' }
}

/**
 * Whether `Mcp-Method` and `Mcp-Name` say what the body says. The modern era requires these fields. In the legacy era they are optional,
 * but must be right if they are present.
 */
export function checkMirrors(headers: RawHeaders, message: Message, era: Era): Refused | undefined {
  if (message.kind === 'response') return undefined
  const method = mirror(headers, 'mcp-method', message.method, era === 'modern')
  if (method !== undefined) return method
  const member = message.kind === 'request' ? namedBy(message.method) : undefined
  const name = member === undefined ? undefined : message.params[member]
  return mirror(
    headers,
    'mcp-name',
    typeof name === 'string' ? name : undefined,
    era === 'modern' && name !== undefined,
  )
}

function mirror(
  headers: RawHeaders,
  field: string,
  expected: string | undefined,
  required: boolean,
): Refused | undefined {
  const values = fieldsOf(headers, field)
  if (values.length > 1) return mismatch(`${field} comes twice`)
  const [value] = values
  if (value === undefined) return required ? mismatch(`${field} is missing`) : undefined
  return expected !== undefined && decodeFieldValue(value) === expected
    ? undefined
    : mismatch(`${field} does not match the body`)
}

/**
 * `Mcp-Param-*` fields against the arguments, by the `x-mcp-header` annotations of the tool's schema. A field that no annotation names is
 * not recognised, and is sent on untouched. An annotated argument needs its field.
 */
export function checkParameters(
  headers: RawHeaders,
  tool: JsonObject,
  args: JsonObject,
  era: Era,
): Refused | undefined {
  for (const { name, path } of annotations(tool.inputSchema, [], 0)) {
    const field = `mcp-param-${name.toLowerCase()}`
    const values = fieldsOf(headers, field)
    if (values.length > 1) return mismatch(`${field} comes twice`)
    const [value] = values
    const argument = valueAt(args, path)
    if (argument === undefined || argument === null) {
      if (value !== undefined) return mismatch(`${field} has no argument`)
    } else if (value === undefined) {
      if (era === 'modern') return mismatch(`${field} is missing`)
    } else if (!isSame(decodeFieldValue(value), argument)) return mismatch(`${field} does not match its argument`)
  }
  return undefined
}

/** The fields that repeat a request's members in the modern era, for a message that came without them. */
export function fieldsOfRequest(method: string, params: JsonObject, tool: JsonObject | undefined): RawHeaders {
  const member = namedBy(method)
  const name = member === undefined ? undefined : params[member]
  const args = isObject(params.arguments) ? params.arguments : {}
  const repeated = annotations(tool?.inputSchema, [], 0).flatMap(({ name, path }): string[] => {
    const value = valueAt(args, path)
    const isPlain = typeof value === 'string' || typeof value === 'boolean' || typeof value === 'number'
    return isPlain ? [`mcp-param-${name.toLowerCase()}`, encodeFieldValue(String(value))] : []
  })
  return [
    ...['mcp-protocol-version', modernVersion, 'mcp-method', method],
    ...(typeof name === 'string' ? ['mcp-name', encodeFieldValue(name)] : []),
    ...repeated,
  ]
}

const valueAt = (args: JsonObject, path: readonly string[]): unknown =>
  path.reduce<unknown>((at, step) => (isObject(at) && Object.hasOwn(at, step) ? at[step] : undefined), args)

/** The value of a field that `decodeFieldValue` reads as this text (2026-07-28, "Value Encoding"). */
export function encodeFieldValue(text: string): string {
  const isPlain = /^[\x21-\x7e]([\t\x20-\x7e]*[\x21-\x7e])?$/.test(text) && !/^=\?base64\?.*\?=$/.test(text)
  return isPlain ? text : `=?base64?${Buffer.from(text).toString('base64')}?=`
}

/** Integers are compared as numbers: `42.0` and `42` are equal (2026-07-28, "Server Validation"). */
function isSame(field: string | undefined, argument: unknown): boolean {
  if (field === undefined) return false
  if (typeof argument === 'string') return field === argument
  if (typeof argument === 'boolean') return field === String(argument)
  return typeof argument === 'number' && /^-?\d{1,16}(\.0{1,16})?$/.test(field) && Number(field) === argument
}

interface Annotation {
  name: string
  path: readonly string[]
}

const deepest = 16

function annotations(schema: unknown, path: readonly string[], depth: number): Annotation[] {
  if (!isObject(schema) || !isObject(schema.properties) || depth > deepest) return []
  return Object.entries(schema.properties).flatMap(([name, property]): Annotation[] => {
    if (!isObject(property)) return []
    const at = [...path, name]
    const header = property['x-mcp-header']
    const own =
      typeof header === 'string' && /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(header) ? [{ name: header, path: at }] : []
    return [...own, ...annotations(property, at, depth + 1)]
  })
}

/** Decodes `=?base64?…?=` (2026-07-28, "Value Encoding"). Undefined for a value that is not the one spelling of its bytes, or not UTF-8. */
export function decodeFieldValue(value: string): string | undefined {
  if (!/^[\t\x20-\x7e]*$/.test(value)) return undefined
  const [, encoded] = /^=\?base64\?(.*)\?=$/.exec(value) ?? []
  if (encoded === undefined) return value
  const bytes = Buffer.from(encoded, 'base64')
  if (bytes.toString('base64') !== encoded) return undefined
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}

const mismatch = (detail: string): Refused => ({ refused: 'mcp_header_mismatch', detail })
