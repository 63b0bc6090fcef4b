import { parse } from 'yaml'
import { z } from 'zod'
import type { EntityName } from './entity-name.ts'
import { firstIssue } from './first-issue.ts'
import { invalid } from './invalid-policies.ts'

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

/** Throws `config_invalid` for a text that is no such mapping. undefined: the defaults. */
export function readMapping(text: string | undefined): Mapping {
  const { types, actions, action_properties, asserted } = mappingOf(text)
  return {
    types: new Map(Object.entries(types)),
    actions: new Map(Object.entries(actions)),
    actionProperties: action_properties,
    asserted,
  }
}

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
