import { z } from 'zod'
import { envelopeSchema } from '../envelope.ts'
import { dataSchemaOf, type Topic, topics } from '../topics.ts'

/** A JSON Schema, with the members needed to make documents from it. */
export interface JsonSchema {
  readonly [keyword: string]: unknown
}

/**
 * The schema that a writer must follow: `io: 'input'`, because the output of a tolerant schema is closed, and would refuse the unknown
 * members that readers ignore.
 */
function toJsonSchema(schema: z.ZodType): JsonSchema {
  const { $schema, ...rest } = z.toJSONSchema(schema, { io: 'input', target: 'draft-2020-12' })
  return rest
}

/** The schema of one event type's `data`, with the definitions that it uses. */
export function dataSchema(topic: Topic, type: string): JsonSchema {
  const schema = topic.events[type]
  if (schema === undefined) throw new RangeError(`${topic.name} has no ${type}`)
  return toJsonSchema(schema)
}

/** The schema of the envelope. Which members an event type must and must not carry is in the topic's page and the AsyncAPI document. */
export const envelopeJsonSchema = (): JsonSchema => toJsonSchema(envelopeSchema)

/** The file of the bundle. The AsyncAPI document beside it refers to it by this name. */
export const bundleFile = 'events.schema.json'

/** The name of the envelope in the bundle. */
export const envelopeName = 'envelope'

/** The name in the bundle of one event type's data: the end of the event's `dataschema`. */
export const nameInBundle = (topic: Topic, type: string): string =>
  dataSchemaOf(topic, type).slice('urn:bailiwick:schema:'.length)

/**
 * Every schema in one document: the envelope, the data of each event type, and what several of them share, under `$defs`.
 * References are pointers, and no definition has an `$id`: programs that resolve references by file, as those for AsyncAPI do,
 * take an `$id` that is a URN for an address. Only what JSON Schema 2020-12 and draft-07 (AsyncAPI's default) read alike is used.
 */
export function schemaBundle(): JsonSchema {
  const shared = new Map<string, JsonSchema>()
  const data = new Map<string, JsonSchema>()
  const firstLike = new Map<string, string>()
  for (const topic of topics) {
    for (const type of Object.keys(topic.events)) {
      const { $defs = {}, ...schema } = dataSchema(topic, type)
      for (const [name, definition] of Object.entries($defs as Record<string, JsonSchema>))
        define(shared, name, definition)
      const name = nameInBundle(topic, type)
      const text = JSON.stringify(schema)
      const like = firstLike.get(text)
      if (like === undefined) firstLike.set(text, name)
      data.set(name, like === undefined ? schema : { $ref: `#/$defs/${like}` })
    }
  }
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: 'urn:bailiwick:schemas:events',
    title: 'The envelope and the data of every event',
    description:
      'The data of an event follows the definition that is named by the end of its dataschema: urn:bailiwick:schema:grants.v1:grant.created means #/$defs/grants.v1:grant.created.',
    $defs: { [envelopeName]: envelopeJsonSchema(), ...Object.fromEntries([...shared, ...data]) },
  }
}

/** One name has one meaning, in whichever event it is used. */
function define(shared: Map<string, JsonSchema>, name: string, definition: JsonSchema): void {
  const known = shared.get(name) ?? definition
  if (name === envelopeName || name.includes(':') || JSON.stringify(known) !== JSON.stringify(definition))
    throw new Error(`two definitions of ${name}`)
  shared.set(name, definition)
}
