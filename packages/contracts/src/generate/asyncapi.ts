import { eventText, exampleEvent } from '../examples/index.ts'
import { type KafkaTopic, kafkaTopics } from '../kafka.ts'
import { dataSchemaOf, producerMembers, services, type Topic, topics, writersOf } from '../topics.ts'
import { bundleFile, envelopeName, type JsonSchema, nameInBundle } from './json-schema.ts'

const contentType = 'application/cloudevents+json'
const messageName = (topic: Topic, type: string) => `${topic.name}.${type}`
const types = topics.flatMap((topic) => Object.keys(topic.events).map((type) => ({ topic, type })))
const entries = <T>(list: readonly T[], name: (item: T) => string, value: (item: T) => unknown) =>
  Object.fromEntries(list.map((item) => [name(item), value(item)]))

function channel(topic: Topic, { partitions, replication, config }: KafkaTopic): unknown {
  const bytes = config['max.message.bytes']
  const retention = config['retention.ms']
  return {
    address: topic.name,
    description: topic.about,
    messages: entries(
      Object.keys(topic.events),
      (type) => type,
      (type) => ({ $ref: `#/components/messages/${messageName(topic, type)}` }),
    ),
    bindings: {
      kafka: {
        topic: topic.name,
        partitions,
        replicas: replication,
        topicConfiguration: {
          'cleanup.policy': [config['cleanup.policy']],
          'retention.ms': Number(retention),
          'max.message.bytes': Number(bytes),
        },
        bindingVersion: '0.5.0',
      },
    },
  }
}

const inBundle = (name: string): JsonSchema => ({ $ref: `./${bundleFile}#/$defs/${name}` })

function payload(topic: Topic, type: string): JsonSchema {
  const members = Object.entries(producerMembers(topic, type))
  return {
    allOf: [
      inBundle(envelopeName),
      {
        type: 'object',
        properties: {
          type: { const: type },
          dataschema: { const: dataSchemaOf(topic, type) },
          ...Object.fromEntries(members.filter(([, required]) => !required).map(([member]) => [member, false])),
          data: inBundle(nameInBundle(topic, type)),
        },
        required: ['data', ...members.filter(([, required]) => required).map(([member]) => member)],
      },
    ],
  }
}

const message = (topic: Topic, type: string): unknown => ({
  name: type,
  title: `${type} on ${topic.name}`,
  contentType,
  payload: payload(topic, type),
  bindings: { kafka: { key: { type: 'string', description: 'partitionkey' }, bindingVersion: '0.5.0' } },
  // One is enough to read; test/vectors/events has all.
  examples: [{ payload: JSON.parse(eventText(exampleEvent(topic.name, type))) }],
})

const operations = [
  ...topics.flatMap((topic) => writersOf(topic).map((who) => ({ who, action: 'send', topic }))),
  ...services.flatMap((who) =>
    topics.filter((topic) => topic.readers.includes(who)).map((topic) => ({ who, action: 'receive', topic })),
  ),
]

/**
 * Every topic as an AsyncAPI 3.0 document: channels are topics, messages are event types, and an operation says which
 * service sends or receives. Events are CloudEvents 1.0 in structured mode. Schemas are in the bundle beside it (`schemaBundle`).
 */
export function asyncApi(): JsonSchema {
  const kafka = new Map(kafkaTopics().map((topic) => [topic.name, topic]))
  return {
    asyncapi: '3.0.0',
    id: 'urn:bailiwick:events',
    info: {
      title: 'Bailiwick events',
      version: '1.0.0',
      description:
        'CloudEvents 1.0, structured mode, at most 65,535 bytes. A topic has one writer; a breaking change is a new topic. `jws` is the last member and signs the bytes before it.',
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
    },
    defaultContentType: contentType,
    servers: {
      kafka: {
        host: '{broker}',
        protocol: 'kafka-secure',
        description: 'The distributed bus. The embedded bus has the same topics and no server.',
        variables: { broker: { default: 'localhost:9093' } },
        security: [{ $ref: '#/components/securitySchemes/scram' }],
      },
    },
    channels: entries(
      topics,
      ({ name }) => name,
      (topic) => channel(topic, kafka.get(topic.name) as KafkaTopic),
    ),
    operations: entries(
      operations,
      ({ who, action, topic }) => `${who}.${action}.${topic.name}`,
      ({ who, action, topic }) => ({ action, channel: { $ref: `#/channels/${topic.name}` }, tags: [{ name: who }] }),
    ),
    components: {
      securitySchemes: {
        scram: { type: 'scramSha512', description: 'One user a service, one for agents: infra/kafka/acls.json' },
      },
      messages: entries(
        types,
        ({ topic, type }) => messageName(topic, type),
        ({ topic, type }) => message(topic, type),
      ),
    },
  }
}
