import type { JsonSchema } from './json-schema.ts'

/** A member of an event's data, as listed on the topic's page. */
export interface Field {
  /** Path from `data`; `[]` is each element of an array, `{}` each value of a map. */
  readonly path: string
  readonly type: string
  readonly required: boolean
  /** If members depend on a `kind` or `type`: the value of it to which this member belongs. */
  readonly when: string
}

const isSchema = (value: unknown): value is JsonSchema =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const schemas = (value: unknown): JsonSchema[] => (Array.isArray(value) ? value.filter(isSchema) : [])
const alternatives = (schema: JsonSchema): JsonSchema[] => schemas(schema.oneOf ?? schema.anyOf)
const membersOf = ({ properties }: JsonSchema): [string, JsonSchema][] =>
  isSchema(properties)
    ? Object.entries(properties).filter((entry): entry is [string, JsonSchema] => isSchema(entry[1]))
    : []

const biggest = Number.MAX_SAFE_INTEGER
const code = (value: unknown) => `\`${String(value)}\``

function bounds(least: unknown, most: unknown, unit: string): string {
  if (least !== undefined && least === most) return ` (${least}${unit})`
  const from = least === undefined || least === -biggest ? '' : `≥ ${least}`
  const to = most === undefined || most === biggest ? '' : `≤ ${most}`
  const range = [from, to].filter((part) => part !== '').join(', ')
  return range === '' ? '' : ` (${range}${unit})`
}

/** The name of a schema that several events share; undefined if it is not shared. */
const sharedName = ({ $ref }: JsonSchema): string | undefined =>
  typeof $ref === 'string' ? $ref.slice($ref.lastIndexOf('/') + 1) : undefined

/** One line that says what a value is. Shared and described types are given by name; `types.md` explains them. */
function typeOf(schema: JsonSchema): string {
  const shared = sharedName(schema)
  if (shared !== undefined) return `[${shared}](types.md#${shared})`
  if (typeof schema.description === 'string') {
    const length = schema.minLength === undefined ? '' : bounds(schema.minLength, schema.maxLength, ' characters')
    return schema.description + length
  }
  if (schema.const !== undefined) return code(schema.const)
  if (Array.isArray(schema.enum)) return schema.enum.map(code).join(' or ')
  const choice = alternatives(schema)
  if (choice.length > 0) return choice.some(isTakenApart) ? 'one of' : choice.map(typeOf).join(' or ')
  if (schema.type === 'array')
    return `array of ${typeOf(nested(schema.items))}${bounds(schema.minItems, schema.maxItems, '')}`
  if (schema.type === 'object') return isMap(schema) ? mapType(schema) : 'object'
  if (schema.type === 'string') {
    if (schema.pattern !== undefined) return `text like ${code(schema.pattern)}`
    return `${schema.format === 'uri' ? 'URL' : 'text'}${bounds(schema.minLength, schema.maxLength, ' characters')}`
  }
  if (schema.type === 'integer') return `integer${bounds(schema.minimum, schema.maximum, '')}`
  return typeof schema.type === 'string' ? schema.type : 'anything'
}

const nested = (value: unknown): JsonSchema => (isSchema(value) ? value : {})
const isMap = ({ propertyNames }: JsonSchema): boolean => isSchema(propertyNames)
const isTakenApart = (schema: JsonSchema): boolean => isSchema(schema.properties)

function mapType({ propertyNames, additionalProperties }: JsonSchema): string {
  const { description, pattern } = nested(propertyNames)
  const key = description ?? (pattern === undefined ? 'text' : code(pattern))
  return `map from ${key} to ${typeOf(nested(additionalProperties))}`
}

/** The constant members that distinguish this alternative from the others. */
function discriminator(alternative: JsonSchema, all: readonly JsonSchema[]): string {
  const constants = membersOf(alternative).filter(([, member]) => member.const !== undefined)
  const telling = constants.filter(([name, member]) =>
    all.some(
      (other) => other !== alternative && membersOf(other).some(([n, m]) => n === name && m.const !== member.const),
    ),
  )
  if (telling.length > 0) return telling.map(([name, member]) => `${name} ${code(member.const)}`).join(', ')
  return `with ${membersOf(alternative)
    .map(([name]) => code(name))
    .join(', ')}`
}

/** Every member below a schema, in the schema's order; a described type is not expanded. */
export function fieldsOf(schema: JsonSchema, path = '', when = ''): Field[] {
  const choice = alternatives(schema).filter(isTakenApart)
  if (choice.length > 0) {
    return choice.flatMap((one) =>
      fieldsOf(one, path, [when, discriminator(one, choice)].filter((w) => w !== '').join('; ')),
    )
  }
  const required = Array.isArray(schema.required) ? schema.required : []
  return membersOf(schema).flatMap(([name, member]) => {
    const at = path === '' ? name : `${path}.${name}`
    return [{ path: at, type: typeOf(member), required: required.includes(name), when }, ...below(member, at, when)]
  })
}

function below(schema: JsonSchema, path: string, when: string): Field[] {
  if (isSchema(schema.items)) return below(schema.items, `${path}[]`, when)
  if (isMap(schema)) return below(nested(schema.additionalProperties), `${path}{}`, when)
  return fieldsOf(schema, path, when)
}

/** Every described type inside a schema, by its description. */
export function describedTypes(schema: unknown, found = new Map<string, JsonSchema>()): Map<string, JsonSchema> {
  if (typeof schema !== 'object' || schema === null) return found
  if (isSchema(schema) && typeof schema.description === 'string' && !found.has(schema.description)) {
    found.set(schema.description, schema)
  }
  for (const one of Object.values(schema)) describedTypes(one, found)
  return found
}
