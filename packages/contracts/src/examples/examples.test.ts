import { expect, it } from 'vitest'
import { decodeEvent } from '../decode.ts'
import { maxEventBytes } from '../envelope.ts'
import { topicNamed, topics } from '../topics.ts'
import { eventOfSize, eventText, exampleEvent, examplesOf, invalidEvents } from './index.ts'

const utf8 = new TextEncoder()
const eventTypes = topics.flatMap((topic) => Object.keys(topic.events).map((type) => ({ topic, type })))

it.each(eventTypes)(
  'has valid events $type on $topic.name, and decodes them to what was written',
  ({ topic, type }) => {
    const examples = Object.entries(examplesOf(topic, type))
    expect(examples).not.toHaveLength(0)
    for (const [desc, data] of examples) {
      const event = exampleEvent(topic.name, type, data)
      expect(decodeEvent(topic, utf8.encode(eventText(event))), desc).toEqual({ ok: true, event })
    }
  },
)

it.each(eventTypes)('has invalid events $type on $topic.name', ({ topic, type }) => {
  const invalid = invalidEvents.filter((event) => event.topic === topic.name && event.desc.startsWith(`${type}: `))
  expect(invalid.length).toBeGreaterThan(0)
})

it.each(invalidEvents)('refuses on $topic: $desc', ({ topic: name, bytes, wantErr }) => {
  const topic = topicNamed(name)
  expect(topic && decodeEvent(topic, bytes)).toMatchObject({ ok: false, code: wantErr })
})

it('takes an event of exactly 65,535 bytes', () => {
  const bytes = utf8.encode(eventOfSize(maxEventBytes))
  const topic = topicNamed('approvals.v1')
  expect(bytes).toHaveLength(65_535)
  expect(topic && decodeEvent(topic, bytes)).toMatchObject({ ok: true })
})

it('names nothing twice', () => {
  const names = invalidEvents.map(({ topic, desc }) => `${topic} ${desc}`)
  expect(names).toEqual([...new Set(names)])
})
