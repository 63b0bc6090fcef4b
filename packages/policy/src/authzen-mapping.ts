import { parse } from 'yaml'
import { z } from 'zod'
import { checkParseEntities } from './cedar.ts'
import { type EntityName, isAction } from './entity-name.ts'
import { firstIssue } from './first-issue.ts'
import { invalid } from './invalid-policies.ts'
import { keyOf, shapesOf } from './schema-shapes.ts'

export const mappingFile = 'authzen.yaml'

const mappingSchema = z.strictObject({
  /** Cedar's types by AuthZEN's, of subjects, resources and references; others are taken verbatim. */
  types: z.record(z.string(), z.string()).default({}),
  /** Cedar's actions by AuthZEN's names; others are found by their id. */
  actions: z.record(z.string(), z.strictObject({ type: z.string(), id: z.string() })).default({}),
  /** The member of the context that `action.properties` replaces. */
  action_properties: z.string().default('action'),
  /** Whose properties a caller may assert; else what is stored is all there is. */
  asserted: z
    .strictObject({ subject: z.boolean().default(true), resource: z.boolean().default(true) })
    .default({ subject: true, resource: true }),
})

/** How AuthZEN's requests become Cedar's: `authzen.yaml`, of which nothing is required. */
export interface Mapping {
  types: ReadonlyMap<string, string>
  actions: ReadonlyMap<string, EntityName>
  actionProperties: string
  asserted: { subject: boolean; resource: boolean }
}

/**
 * Throws `config_invalid` for a text that is no such mapping, and for a name that the schema does not declare or, without one, that
 * none could have. undefined: the defaults.
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

/** A mapping onto what cannot be there would deny for ever, and nobody would know why. */
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

/** Cedar's word, of an entity of that type. */
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
