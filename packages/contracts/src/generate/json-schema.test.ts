import { Ajv2020 } from 'ajv/dist/2020.js'
import { expect, it } from 'vitest'
import { exampleEvent, examplesOf, invalidEvents } from '../examples/index.ts'
import { dataSchemaOf, producerMembers, topicNamed, topics } from '../topics.ts'
import { dataSchemaDocument, envelopeDocument } from './json-schema.ts'

const ajv = new Ajv2020({ strict: false, validateFormats: false })
const eventTypes = topics.flatMap((topic) => Object.keys(topic.events).map((type) => ({ topic, type })))
const validators = new Map(
  eventTypes.map(({ topic, type }) => [`${topic.name} ${type}`, ajv.compile(dataSchemaDocument(topic, type))]),
)

it('names each schema as the dataschema of its events', () => {
  for (const { topic, type } of eventTypes) {
    expect(dataSchemaDocument(topic, type).$id).toBe(dataSchemaOf(topic, type))
    expect(exampleEvent(topic.name, type).dataschema).toBe(dataSchemaOf(topic, type))
  }
  expect(validators.size).toBe(eventTypes.length)
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
  const envelope = ajv.compile(envelopeDocument())
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
    expect([topic, desc, envelope(event) && validate?.(event.data)]).toEqual([topic, desc, false])
  }
})
