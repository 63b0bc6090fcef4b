import { Ajv } from 'ajv'
import { expect, it } from 'vitest'
import { eventText, exampleEvent, examplesOf, invalidEvents } from '../examples/index.ts'
import { services, topics, writersOf } from '../topics.ts'
import { asyncApi } from './asyncapi.ts'
import { bundleFile, type JsonSchema, schemaBundle } from './json-schema.ts'

const document = asyncApi()
const bundle = schemaBundle()

const step = (at: unknown, name: string): unknown =>
  typeof at === 'object' && at !== null ? Reflect.get(at, name.replaceAll('~1', '/').replaceAll('~0', '~')) : undefined
const below = (root: unknown, path: readonly string[]): unknown => path.reduce(step, root)
const at = (...path: string[]): unknown => below(document, path)
const namesAt = (...path: string[]): string[] => Object.keys(at(...path) as object)

function refsIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return []
  const own = '$ref' in value && typeof value.$ref === 'string' ? [value.$ref] : []
  return [...own, ...Object.values(value).flatMap(refsIn)]
}

it('has the members that AsyncAPI 3.0 requires', () => {
  expect(at('asyncapi')).toBe('3.0.0')
  expect(at('info')).toMatchObject({ title: expect.any(String), version: expect.any(String) })
  expect(at('servers', 'kafka')).toMatchObject({ host: expect.any(String), protocol: expect.any(String) })
  for (const name of namesAt('operations')) {
    expect(at('operations', name)).toMatchObject({
      action: expect.stringMatching(/^(send|receive)$/),
      channel: { $ref: expect.any(String) },
    })
  }
  for (const part of ['messages', 'securitySchemes']) {
    for (const name of namesAt('components', part)) expect(name).toMatch(/^[\w.-]+$/)
  }
})

it('refers to nothing that is not there', () => {
  const refs = refsIn(document)
  expect(refs.length).toBeGreaterThan(200)
  for (const ref of refs) {
    const [file, pointer = ''] = ref.split('#/')
    expect(['', `./${bundleFile}`]).toContain(file)
    expect([ref, typeof below(file === '' ? document : bundle, pointer.split('/'))]).toEqual([ref, 'object'])
  }
})

it('has a channel for each topic, a message for each event type, an operation for each writer and reader', () => {
  expect(namesAt('channels')).toEqual(topics.map(({ name }) => name))
  for (const topic of topics) {
    expect(at('channels', topic.name, 'address')).toBe(topic.name)
    expect(namesAt('channels', topic.name, 'messages')).toEqual(Object.keys(topic.events))
  }
  const expected = topics.flatMap((topic) => [
    ...writersOf(topic).map((who) => `${who}.send.${topic.name}`),
    ...services.filter((who) => topic.readers.includes(who)).map((who) => `${who}.receive.${topic.name}`),
  ])
  expect(namesAt('operations').sort()).toEqual(expected.sort())
})

it('says of every message that it is a CloudEvent in structured mode', () => {
  for (const name of namesAt('components', 'messages')) {
    expect(at('components', 'messages', name, 'contentType')).toBe('application/cloudevents+json')
  }
})

// The payloads are judged by a validator that shares no code with zod. Formats are patterns here, so it needs nothing else. It reads the
// bundle as draft-07, as programs for AsyncAPI do, and refuses keywords that draft-07 lacks.
const ajv = new Ajv({ strictTypes: false, strictRequired: false, validateFormats: false })
const { $schema, $id, ...schemas } = bundle
ajv.addSchema({ ...schemas, $id: `https://schemas.test/${bundleFile}` })
const validators = new Map(
  namesAt('components', 'messages').map((name) => {
    const payload = at('components', 'messages', name, 'payload') as JsonSchema
    return [name, ajv.compile({ $id: `https://schemas.test/${name}`, ...payload })]
  }),
)

it('lets every valid event through', () => {
  for (const topic of topics) {
    for (const type of Object.keys(topic.events)) {
      for (const data of Object.values(examplesOf(topic, type))) {
        const validate = validators.get(`${topic.name}.${type}`)
        expect(validate?.(JSON.parse(eventText(exampleEvent(topic.name, type, data)))), `${topic.name} ${type}`).toBe(
          true,
        )
      }
    }
  }
})

it('refuses what decodeEvent refuses as malformed', () => {
  const malformed = invalidEvents.filter(({ desc, wantErr }) => wantErr === 'event_malformed' && desc.includes(': '))
  expect(malformed.length).toBeGreaterThan(150)
  for (const { topic, desc, bytes } of malformed) {
    const validate = validators.get(`${topic}.${desc.slice(0, desc.indexOf(':'))}`)
    expect([topic, desc, validate?.(JSON.parse(new TextDecoder().decode(bytes)))]).toEqual([topic, desc, false])
  }
})
