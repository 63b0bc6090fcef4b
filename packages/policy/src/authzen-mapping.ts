import { parse } from 'yaml'
import { z } from 'zod'
import { checkParseEntities } from './cedar.ts'
import { type EntityName, isAction } from './entity-name.ts'
import { firstIssue } from './first-issue.ts'
import { invalid } from './invalid-policies.ts'
import { keyOf, shapesOf } from './schema-shapes.ts'

export const mappingFile = 'authzen.yaml'

const mappingSchema = z.strictObject({
  /** Maps AuthZEN types of subjects, resources and references to Cedar types; types not listed are taken verbatim. */
  types: z.record(z.string(), z.string()).default({}),
  /** Maps AuthZEN action names to Cedar actions; actions not listed are found by their id. */
  actions: z.record(z.string(), z.strictObject({ type: z.string(), id: z.string() })).default({}),
  /** The member of the context that `action.properties` replaces. */
  action_properties: z.string().default('action'),
  /** The entities whose properties a caller may assert; for all others only the stored properties count. */
  asserted: z
    .strictObject({ subject: z.boolean().default(true), resource: z.boolean().default(true) })
    .default({ subject: true, resource: true }),
})

/** How AuthZEN requests become Cedar requests: `authzen.yaml`, in which every member is optional. */
export interface Mapping {
  types: ReadonlyMap<string, string>
  actions: ReadonlyMap<string, EntityName>
  actionProperties: string
  asserted: { subject: boolean; resource: boolean }
}

/**
 * Throws `config_invalid` for a text that is not a mapping, and for a name that the schema does not declare or that, without a schema, is
 * not a valid name. undefined: the defaults.
 */
export function readMapping(text: string | undefined, schema?: string): Mapping {
  const { types, actions, action_properties, asserted } = mappingOf(text)
  const mapping = {
    types: new Map(Object.entries(types)),
    actions: new Map(Object.entries(actions)),
    actionProperties: action_properties,
    asserted,
  }
  if (text !== undefined) requireNames(mapping, schema)
  return mapping
}

/** A mapping to a name that cannot exist would deny for ever, without a visible reason. */
function requireNames({ types, actions }: Mapping, schema: string | undefined): void {
  const shapes = schema === undefined ? undefined : shapesOf(schema)
  for (const [name, type] of types) {
    if (shapes && !shapes.hasType(type)) throw invalid(mappingFile, `types: the schema has no entity type ${type}`)
    if (!isTypeName(type))
      throw invalid(mappingFile, `types.${name}: ${JSON.stringify(type)} is no name of a Cedar type`)
  }
  const declared = new Set(shapes?.actions.map(keyOf))
  for (const [name, action] of actions) {
    const { type, id } = action
    if (shapes && !declared.has(keyOf(action)))
      throw invalid(mappingFile, `actions: the schema has no ${type}::${JSON.stringify(id)}`)
    if (!isAction(action) || !isTypeName(type))
      throw invalid(mappingFile, `actions.${name}: ${JSON.stringify(type)} is no type of Cedar actions`)
  }
}

/** Cedar's own check, with an entity of that type. */
const isTypeName = (type: string): boolean =>
  checkParseEntities({ entities: [{ uid: { type, id: '' }, attrs: {}, parents: [] }], schema: null }).type === 'success'

function mappingOf(text: string | undefined): z.infer<typeof mappingSchema> {
  const parsed = mappingSchema.safeParse(text === undefined ? {} : (yamlOf(text) ?? {}))
  if (parsed.success) return parsed.data
  throw invalid(mappingFile, firstIssue(parsed.error))
}

function yamlOf(text: string): unknown {
  try {
    return parse(text, { uniqueKeys: true })
  } catch (error) {
    throw invalid(mappingFile, error instanceof Error ? error.message : undefined)
  }
}
