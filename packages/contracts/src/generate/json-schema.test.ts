import { Ajv2020 } from 'ajv/dist/2020.js'
import { expect, it } from 'vitest'
import { exampleEvent, examplesOf, invalidEvents } from '../examples/index.ts'
import { producerMembers, topicNamed, topics } from '../topics.ts'
import { dataSchema, type JsonSchema, schemaBundle } from './json-schema.ts'

const bundle = schemaBundle()
const definitions = bundle.$defs as Record<string, JsonSchema>
const ajv = new Ajv2020({ strict: false, validateFormats: false })
ajv.addSchema(bundle)
const definition = (name: string) => ajv.getSchema(`${bundle.$id}#/$defs/${name}`)
const eventTypes = topics.flatMap((topic) => Object.keys(topic.events).map((type) => ({ topic, type })))
const validators = new Map(
  eventTypes.map(({ topic, type }) => [`${topic.name} ${type}`, definition(`${topic.name}:${type}`)]),
)

it('names the data of each event type by the end of its dataschema', () => {
  for (const { topic, type } of eventTypes) {
    const { dataschema } = exampleEvent(topic.name, type)
    expect(dataschema).toMatch(/^urn:bailiwick:schema:/)
    expect(definitions).toHaveProperty([dataschema.replace('urn:bailiwick:schema:', '')])
  }
  expect(validators.size).toBe(eventTypes.length)
})

it('holds what each event type says, once: equal data is a reference, and so is all that is shared', () => {
  const resolved = ({ $ref }: JsonSchema) => definitions[String($ref).replace('#/$defs/', '')]
  const whole: string[] = []
  for (const { topic, type } of eventTypes) {
    const { $defs = {}, ...schema } = dataSchema(topic, type)
    const own = definitions[`${topic.name}:${type}`] ?? {}
    expect('$ref' in own ? resolved(own) : own).toEqual(schema)
    if (!('$ref' in own)) whole.push(JSON.stringify(own))
    for (const [name, shared] of Object.entries($defs as object)) expect(definitions[name]).toEqual(shared)
  }
  expect(new Set(whole).size).toBe(whole.length)
})

it('refers by pointers alone, to what is there; nothing stands beside a reference, which draft-07 would ignore', () => {
  const check = (value: unknown, path: string): number => {
    if (typeof value !== 'object' || value === null) return 0
    if ('$ref' in value && typeof value.$ref === 'string') {
      expect([path, Object.keys(value)]).toEqual([path, ['$ref']])
      expect(definitions).toHaveProperty([value.$ref.replace(/^#\/\$defs\//, '')])
      return 1
    }
    expect([path, '$id' in value && typeof value.$id === 'string']).toEqual([path, false])
    return Object.entries(value).reduce((sum, [name, one]) => sum + check(one, `${path}/${name}`), 0)
  }
  expect(check(definitions, '')).toBeGreaterThan(100)
})

it('lets every valid example through, judged by another validator', () => {
  for (const { topic, type } of eventTypes) {
    for (const [desc, data] of Object.entries(examplesOf(topic, type))) {
      expect([topic.name, type, desc, validators.get(`${topic.name} ${type}`)?.(data)]).toEqual([
        topic.name,
        type,
        desc,
        true,
      ])
    }
  }
})

it('refuses every event whose data or envelope is malformed, judged by another validator', () => {
  const envelope = definition('envelope')
  const judged = invalidEvents.filter(({ topic: name, desc, bytes, wantErr }) => {
    const topic = topicNamed(name)
    if (topic === undefined || wantErr !== 'event_malformed' || !desc.includes(': ')) return false
    const event: Record<string, unknown> = JSON.parse(new TextDecoder().decode(bytes))
    // The members that an event must carry depend on topic and type. The AsyncAPI document states them; these schemas cannot.
    return Object.entries(producerMembers(topic, desc.slice(0, desc.indexOf(':')))).every(
      ([member, required]) => required === member in event,
    )
  })
  expect(judged.length).toBeGreaterThan(120)
  for (const { topic, desc, bytes } of judged) {
    const event: { data?: unknown } = JSON.parse(new TextDecoder().decode(bytes))
    const validate = validators.get(`${topic} ${desc.slice(0, desc.indexOf(':'))}`)
    expect([topic, desc, envelope?.(event) && validate?.(event.data)]).toEqual([topic, desc, false])
  }
})
