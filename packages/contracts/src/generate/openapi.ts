import { z } from 'zod'
import { type Api, oauthErrorSchema, problemSchema, type Route } from '../api/route.ts'
import type { JsonSchema } from './json-schema.ts'

/** `access-detail` → `AccessDetail`. */
export const named = (id: string): string =>
  id.replace(/(?:^|[-_. ])+([A-Za-z0-9])/g, (_, first: string) => first.toUpperCase())

export interface OpenApi {
  readonly openapi: '3.1.0'
  readonly info: JsonSchema
  readonly tags: readonly JsonSchema[]
  readonly paths: Readonly<Record<string, Record<string, JsonSchema>>>
  readonly components: { readonly schemas: Record<string, JsonSchema> }
}

const tags = [
  { name: 'http', description: 'Served over the network' },
  { name: 'operator', description: 'Served on the operator’s Unix socket, whose file rights are the authentication' },
]

/**
 * OpenAPI 3.1 of all routes of a service. A schema with an id becomes a component. The direction is `input`: requests before defaults, and
 * answers that may get further members.
 */
export function openApi({ title, routes }: Api): OpenApi {
  const schemas: Record<string, JsonSchema> = {}
  const schemaOf = (schema: z.ZodType): JsonSchema => {
    const { $defs = {}, properties } = z.toJSONSchema(z.object({ it: schema }), { io: 'input' })
    for (const [id, each] of Object.entries($defs)) schemas[named(id)] = referring(each) as JsonSchema
    return referring(properties?.it ?? {}) as JsonSchema
  }
  const paths: Record<string, Record<string, JsonSchema>> = {}
  const problem = { 'application/problem+json': { schema: schemaOf(problemSchema) } }
  for (const [operationId, route] of Object.entries<Route>(routes)) {
    const { takes = 'application/json', refusal } = route
    const refused = refusal === 'oauth' ? { 'application/json': { schema: schemaOf(oauthErrorSchema) } } : problem
    const parameters = [...inPath(route, schemaOf), ...inQuery(route, schemaOf)]
    const at = templateOf(route.path)
    paths[at] = {
      ...paths[at],
      [route.method.toLowerCase()]: {
        operationId,
        summary: route.summary,
        tags: route.on === 'both' ? ['http', 'operator'] : [route.on],
        ...(parameters.length === 0 ? {} : { parameters }),
        ...(route.body === undefined
          ? {}
          : { requestBody: { required: true, content: { [takes]: { schema: schemaOf(route.body) } } } }),
        responses: { ...answersOf(route, schemaOf), default: { description: 'Refused', content: refused } },
      },
    }
  }
  const sorted = Object.fromEntries(Object.entries(schemas).sort(([a], [b]) => (a < b ? -1 : 1)))
  return { openapi: '3.1.0', info: { title, version: '1' }, tags, paths, components: { schemas: sorted } }
}

function answersOf({ answer, statuses, empty, gives }: Route, schemaOf: (schema: z.ZodType) => JsonSchema): JsonSchema {
  const media = gives ?? 'application/json'
  const content = answer === undefined ? { [media]: {} } : { [media]: { schema: schemaOf(answer) } }
  const whole = answer === undefined && gives === undefined ? [] : (statuses ?? [200])
  return Object.fromEntries([
    ...whole.map((status) => [status, { description: 'Done', content }]),
    ...(empty === undefined ? [] : [[empty, { description: 'Done; no body' }]]),
  ])
}

/** `:id` → `{id}`; the rest of a path has the name `rest`. */
const templateOf = (path: string): string => path.replace(/:(\w+)/g, '{$1}').replace(/\*$/, '{rest}')

function inPath({ path, params }: Route, schemaOf: (schema: z.ZodType) => JsonSchema): JsonSchema[] {
  const { properties = {} } = params === undefined ? {} : (schemaOf(params) as { properties?: JsonSchema })
  return [...path.matchAll(/:(\w+)|\*$/g)].map(([whole, name]) => ({
    name: name ?? 'rest',
    in: 'path',
    required: true,
    schema: properties[name ?? whole] ?? { type: 'string' },
  }))
}

function inQuery({ query }: Route, schemaOf: (schema: z.ZodType) => JsonSchema): JsonSchema[] {
  if (query === undefined) return []
  const schema = schemaOf(query) as { properties?: Record<string, JsonSchema>; required?: readonly string[] }
  // A record: each of its members is a parameter of its own.
  if (schema.properties === undefined) return [{ name: 'filters', in: 'query', style: 'form', explode: true, schema }]
  const { required = [] } = schema
  return Object.entries(schema.properties).map(([name, each]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    schema: each,
  }))
}

/** References within one JSON Schema document, as references to the components of OpenAPI. */
function referring(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(referring)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name, member]) => name !== 'id' || typeof member !== 'string') // zod repeats the component's name
      .map(([name, member]) =>
        name === '$ref' && typeof member === 'string'
          ? [name, `#/components/schemas/${named(member.replace('#/$defs/', ''))}`]
          : [name, referring(member)],
      ),
  )
}
