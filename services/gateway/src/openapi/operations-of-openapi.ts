import { isObject, type JsonObject } from '@bailiwick/mcp'
import { apiEntry } from '../proxy/api-entry.ts'

/** A table of operations for gateway.yaml, and lines for the person who reads it. */
export interface OpenApiTable {
  operations: Record<string, object>
  notes: string[]
}

const methods = ['get', 'head', 'post', 'put', 'patch', 'delete'] as const
const withBody: ReadonlySet<string> = new Set(['post', 'put', 'patch'])
const form = 'application/x-www-form-urlencoded'

/**
 * The table that an OpenAPI description (3.x) stands for. It takes names alone: of operations, parameters and members of bodies. What a table
 * cannot say is left out, and a note names it: a person decides what becomes of it. References lead within the document only.
 */
export function operationsOfOpenApi(document: JsonObject): OpenApiTable {
  const operations: Record<string, object> = {}
  const notes: string[] = []
  for (const [path, item] of membersOf(document.paths))
    for (const method of methods) {
      const { [method]: described } = resolved(document, item)
      if (!isObject(described)) continue
      const found = resolved(document, described)
      const name = nameOf(found.operationId, method, path)
      const note = (text: string) => notes.push(`${name}: ${text}`)
      const parameters = parametersOf(document, resolved(document, item), found)
      const query = parameters.flatMap(([place, named]) => (place === 'query' ? [named] : []))
      for (const [place, named] of parameters)
        if (place === 'header') note(`the field ${named.toLowerCase()} is sent on only if forward names it`)
        else if (place === 'cookie') note(`the cookie ${named} is not sent on`)
      const body = withBody.has(method) ? bodyOf(document, found.requestBody, note) : undefined
      const entry = {
        request: `${method.toUpperCase()} ${path}`,
        ...(query.length === 0 ? {} : { query }),
        ...(body === undefined ? {} : { body }),
      }
      const fault = faultOf({ ...operations, [name]: entry })
      if (fault !== undefined || Object.hasOwn(operations, name)) note(`left out: ${fault ?? 'its name is used twice'}`)
      else operations[name] = entry
    }
  return { operations, notes }
}

/** Why a table is none. */
function faultOf(operations: object): string | undefined {
  const read = apiEntry.safeParse({ url: 'https://api.example', operations })
  return read.success ? undefined : read.error.issues[0]?.message
}

function nameOf(id: unknown, method: string, path: string): string {
  const given = typeof id === 'string' ? id : `${method}${path}`
  return given
    .replaceAll(/[^A-Za-z0-9_.-]+/g, '_')
    .replaceAll(/^_+|_+$/g, '')
    .slice(0, 128)
}

/** Of the path and of the operation: the operation's own take precedence. */
function parametersOf(document: JsonObject, item: JsonObject, operation: JsonObject): [place: string, name: string][] {
  const all = [item.parameters, operation.parameters].flatMap((list) => (Array.isArray(list) ? list : []))
  const found = new Map<string, [string, string]>()
  for (const parameter of all) {
    const { in: place, name } = resolved(document, parameter)
    if (typeof place === 'string' && typeof name === 'string') found.set(`${place} ${name}`, [place, name])
  }
  return [...found.values()]
}

function bodyOf(document: JsonObject, requestBody: unknown, note: (text: string) => void): object | undefined {
  const { content } = resolved(document, requestBody)
  const types = membersOf(content).map(([type]) => type)
  const chosen = ['application/json', form].find((type) => types.includes(type))
  const others = types.filter((type) => type !== chosen)
  if (chosen === undefined) return types.length === 0 ? undefined : { opaque: types.map((type) => type.toLowerCase()) }
  if (others.length > 0) note(`the body is not taken as ${others.join(', ')}`)
  const media = resolved(document, isObject(content) ? content[chosen] : undefined)
  const names = namesIn(document, media.schema, 0)
  if (names === 'any') note('its body may have any members: name them, if you know them')
  return chosen === form ? { form: names } : { json: names }
}

const deepest = 16

/** The members of an object that a schema describes; `any` if the schema does not say it for certain. */
function namesIn(document: JsonObject, schema: unknown, depth: number): string[] | 'any' {
  const { properties, allOf, oneOf, anyOf, additionalProperties, patternProperties } = resolved(document, schema)
  const isOpen = isObject(additionalProperties) || additionalProperties === true || isObject(patternProperties)
  if (depth > deepest || isOpen) return 'any'
  const parts = [allOf, oneOf, anyOf].flatMap((list) => (Array.isArray(list) ? list : []))
  if (!isObject(properties) && parts.length === 0) return 'any'
  const names = new Set(membersOf(properties).map(([name]) => name))
  for (const part of parts) {
    const more = namesIn(document, part, depth + 1)
    if (more === 'any') return 'any'
    for (const name of more) names.add(name)
  }
  return [...names]
}

const membersOf = (value: unknown): [string, unknown][] => (isObject(value) ? Object.entries(value) : [])

/** An object of the document, or the one that it refers to; an empty one if there is none. */
function resolved(document: JsonObject, value: unknown): JsonObject {
  let found = value
  for (let steps = 0; isObject(found) && typeof found.$ref === 'string'; steps++) {
    if (steps === deepest || !found.$ref.startsWith('#/')) return {}
    const keys = found.$ref
      .slice(2)
      .split('/')
      .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'))
    found = keys.reduce<unknown>((at, key) => (isObject(at) && Object.hasOwn(at, key) ? at[key] : undefined), document)
  }
  return isObject(found) ? found : {}
}
