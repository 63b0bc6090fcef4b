import fc from 'fast-check'
import { expect, it } from 'vitest'
import { decodeEvent } from './decode.ts'
import { encodeEnvelope } from './envelope.ts'
import { eventText, exampleEvent, examplesOf } from './examples/index.ts'
import { isVersioned, topicNamed, topics } from './topics.ts'

const utf8 = new TextEncoder()
const codes = new Set(['event_too_large', 'json_malformed', 'event_malformed', 'event_type_unknown'])

const anyTopic = fc.constantFrom(...topics.map(({ name }) => name))
const anyExample = fc.constantFrom(
  ...topics.flatMap((topic) =>
    Object.keys(topic.events).flatMap((type) =>
      Object.values(examplesOf(topic, type)).map((data) => ({
        topic: topic.name,
        text: eventText(exampleEvent(topic.name, type, data)),
      })),
    ),
  ),
)

function decode(name: string, bytes: Uint8Array) {
  const topic = topicNamed(name)
  if (topic === undefined) throw new RangeError(name)
  return { topic, decoded: decodeEvent(topic, bytes) }
}

/** Expects a valid answer for any bytes: an event of this topic, or one of four codes with a line that fits a log. */
function expectAnswer(name: string, bytes: Uint8Array): void {
  const { topic, decoded } = decode(name, bytes)
  if (decoded.ok) {
    expect(Object.keys(topic.events)).toContain(decoded.event.type)
    return
  }
  expect(codes).toContain(decoded.code)
  expect(decoded.detail.length).toBeLessThanOrEqual(200)
  expect(decoded.detail.isWellFormed()).toBe(true)
}

it('answers to any bytes and never throws (V13)', () => {
  fc.assert(fc.property(anyTopic, fc.uint8Array({ maxLength: 300 }), expectAnswer))
})

it('answers to any JSON and never throws (V13)', () => {
  const anyJson = fc.json({ maxDepth: 5 }).map((text) => utf8.encode(text))
  fc.assert(fc.property(anyTopic, anyJson, expectAnswer))
})

it('answers to an event with any bytes overwritten, inserted or cut, and never throws (V13)', () => {
  const anyWound = fc.record({ at: fc.nat(), drop: fc.nat(20), put: fc.uint8Array({ maxLength: 20 }) })
  fc.assert(
    fc.property(anyExample, fc.array(anyWound, { minLength: 1, maxLength: 3 }), ({ topic, text }, wounds) => {
      let bytes = utf8.encode(text)
      for (const { at, drop, put } of wounds) {
        const start = at % (bytes.length + 1)
        bytes = Uint8Array.of(...bytes.subarray(0, start), ...put, ...bytes.subarray(start + drop))
      }
      expectAnswer(topic, bytes)
    }),
  )
})

it('answers to an event with any value in any place, and never throws (V13)', () => {
  const anyValue = fc.jsonValue({ maxDepth: 3 })
  fc.assert(
    fc.property(anyExample, fc.nat(), anyValue, ({ topic, text }, place, value) => {
      let count = 0
      JSON.parse(text, (_, member) => {
        count++
        return member
      })
      let n = 0
      const spoiled = JSON.parse(text, (_, member) => (n++ === place % count ? value : member))
      expectAnswer(topic, utf8.encode(JSON.stringify(spoiled) ?? 'null'))
    }),
  )
})

it('names an unknown member in no more than a line', () => {
  const { data, ...head } = exampleEvent('heads.v1', 'head.published')
  const event = { ...head, data: { ...Object(data), [`${'x'.repeat(150)}${'😀'.repeat(10_000)}`]: 1 } }
  const { decoded } = decode('heads.v1', utf8.encode(eventText(event)))
  expect(decoded).toMatchObject({ ok: false, code: 'event_malformed' })
  expectAnswer('heads.v1', utf8.encode(eventText(event)))
})

it('reads the same from an event that is written again from what was read', () => {
  fc.assert(
    fc.property(anyExample, ({ topic, text }) => {
      const { decoded } = decode(topic, utf8.encode(text))
      if (!decoded.ok) throw new Error(decoded.detail)
      expect(decode(topic, utf8.encode(eventText(decoded.event))).decoded).toEqual(decoded)
    }),
  )
})

const types = topics.flatMap((topic) => Object.keys(topic.events).map((type) => ({ topic, type })))
const present = {
  version: { version: 1 },
  sequence: { sequence: '0000000000000001' },
  previous: { previous: 'none' },
  jws: { jws: 'eyJhbGciOiJFUzI1NiJ9..c2ln' },
}
it.each(types)(
  'knows which members of its producer $type on $topic.name must and must not carry',
  ({ topic, type }) => {
    const required = {
      version: isVersioned(topic, type),
      sequence: topic.leaf,
      previous: topic.leaf,
      jws: topic.writer !== 'agents',
    }
    for (const member of ['version', 'sequence', 'previous', 'jws'] as const) {
      const { [member]: _, ...without } = exampleEvent(topic.name, type)
      const ok = (event: Parameters<typeof eventText>[0]) => decodeEvent(topic, utf8.encode(eventText(event))).ok
      expect({ member, without: ok(without), with: ok({ ...without, ...present[member] }) }).toEqual({
        member,
        without: !required[member],
        with: required[member],
      })
    }
  },
)

it('gives a version to the events that advance an entity or a tree, and to no other', () => {
  const unversioned = types.filter(({ topic, type }) => topic.leaf && !isVersioned(topic, type)).map(({ type }) => type)
  expect(new Set(unversioned)).toEqual(
    new Set([
      'candidate.answered',
      'engines.differed',
      'credential.refused',
      'revocation.acknowledged',
      'decision.denied',
      'denials.summarised',
      'gap.detected',
      'outcome.unrelayed',
      'outcome.skipped',
      'outcome.contradicted',
      'outcome.refused',
      'event.refused',
      'policy-files.changed',
      'leaves.dropped',
      'value.erased',
      'event.parked',
    ]),
  )
})

it('writes the members in one order with data last, for any order of its input, and leaves jws to the signer', () => {
  const anyOrder = fc.shuffledSubarray(Object.entries(exampleEvent('grants.v1', 'credential.issued')), {
    minLength: 15,
  })
  fc.assert(
    fc.property(anyOrder, (entries) => {
      const event = Object.fromEntries(entries) as unknown as Parameters<typeof encodeEnvelope>[0]
      const text = new TextDecoder().decode(encodeEnvelope(event))
      expect(Object.keys(JSON.parse(text))).toEqual([
        'specversion',
        'id',
        'source',
        'type',
        'time',
        'subject',
        'datacontenttype',
        'dataschema',
        'traceparent',
        'partitionkey',
        'version',
        'sequence',
        'previous',
        'data',
      ])
      expect(text.endsWith(`"data":${JSON.stringify(event.data)}}`)).toBe(true)
    }),
  )
})
