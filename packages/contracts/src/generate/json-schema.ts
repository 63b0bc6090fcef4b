import { z } from 'zod'
import { envelopeSchema } from '../envelope.ts'
import { dataSchemaOf, type Topic } from '../topics.ts'

/** A JSON Schema, with the members needed to make documents from it. */
export interface JsonSchema {
  readonly [keyword: string]: unknown
}

/**
 * The schema that a writer must follow: `io: 'input'`, because the output of a tolerant schema is closed, and would refuse the unknown
 * members that readers ignore. JSON Schema 2020-12 for separate files, draft-07 for AsyncAPI 3.0, where it is the default.
 */
function toJsonSchema(schema: z.ZodType, target: 'draft-2020-12' | 'draft-7'): JsonSchema {
  const { $schema, ...rest } = z.toJSONSchema(schema, { io: 'input', target })
  return rest
}

/** The schema of one event type's `data`. */
export function dataSchema(
  topic: Topic,
  type: string,
  target: 'draft-2020-12' | 'draft-7' = 'draft-2020-12',
): JsonSchema {
  const schema = topic.events[type]
  if (schema === undefined) throw new RangeError(`${topic.name} has no ${type}`)
  return toJsonSchema(schema, target)
}

/** The schema of the envelope. Which members an event type must and must not carry is in the topic's page and the AsyncAPI document. */
export const envelopeJsonSchema = (target: 'draft-2020-12' | 'draft-7' = 'draft-2020-12'): JsonSchema =>
  toJsonSchema(envelopeSchema, target)

/** A schema as a separate document; `$id` is the `dataschema` of its events. */
export function dataSchemaDocument(topic: Topic, type: string): JsonSchema {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: dataSchemaOf(topic, type),
    title: `data of ${type} on ${topic.name}`,
    ...dataSchema(topic, type),
  }
}

export const envelopeDocument = (): JsonSchema => ({
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  $id: 'urn:bailiwick:schema:envelope',
  title: 'envelope of every event',
  ...envelopeJsonSchema(),
})
