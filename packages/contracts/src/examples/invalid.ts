import { type Envelope, maxEventBytes } from '../envelope.ts'
import { type Topic, topics } from '../topics.ts'
import { eventText, exampleEvent } from './events.ts'
import { faults, parkedFaults } from './faults.ts'
import type { Fault } from './shape.ts'

export interface InvalidEvent {
  readonly desc: string
  readonly topic: string
  /** The bytes on the bus. */
  readonly bytes: Uint8Array
  readonly wantErr: 'event_too_large' | 'json_malformed' | 'event_malformed' | 'event_type_unknown'
}

const utf8 = new TextEncoder()

/** The event with one fault added; its members keep their order, and `jws` stays last. */
function spoil(event: Envelope, [, pointer, value]: Fault): unknown {
  const spoiled: unknown = JSON.parse(eventText(event))
  const path = pointer
    .slice(1)
    .split('/')
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))
  const member = path.pop() ?? ''
  const parent = path.reduce<unknown>((at, step) => (at as Record<string, unknown>)[step], spoiled)
  if (typeof parent !== 'object' || parent === null) throw new RangeError(`nothing at ${pointer}`)
  if (value === undefined) Reflect.deleteProperty(parent, member)
  else Reflect.set(parent, member, value)
  return spoiled
}

function faultsOf(topic: Topic): Readonly<Record<string, readonly Fault[]>> {
  const byTopic: Readonly<Record<string, Readonly<Record<string, readonly Fault[]>>>> = faults
  return byTopic[topic.name] ?? parkedFaults
}

const malformed: InvalidEvent[] = topics.flatMap((topic) =>
  Object.entries(faultsOf(topic)).flatMap(([type, list]) =>
    list.map((fault) => ({
      desc: `${type}: ${fault[0]}`,
      topic: topic.name,
      bytes: utf8.encode(JSON.stringify(spoil(exampleEvent(topic.name, type), fault))),
      wantErr: 'event_malformed' as const,
    })),
  ),
)

/** An event type of another topic does not count here, certified or not (DESIGN §4). */
const misplaced: InvalidEvent[] = topics.map((topic) => {
  const [home, type] =
    topic.name === 'grants.v1' ? ['decisions.v1', 'decision.allowed'] : ['grants.v1', 'grant.created']
  return {
    desc: `${type}: on ${topic.name}`,
    topic: topic.name,
    bytes: utf8.encode(eventText(exampleEvent(home, type))),
    wantErr: 'event_type_unknown',
  }
})

const topic = 'approvals.v1'
const valid = eventText(exampleEvent(topic, 'request.expired'))
const start = valid.slice(0, -1)
const text = (desc: string, event: string, wantErr: InvalidEvent['wantErr'] = 'json_malformed'): InvalidEvent => ({
  desc,
  topic,
  bytes: utf8.encode(event),
  wantErr,
})

/** Texts that two readers could understand differently, or that are not an event at all. */
const unreadable: InvalidEvent[] = [
  text('nothing', ''),
  text('text that is no JSON', 'request.expired'),
  text('an event that breaks off', start),
  text('an event and a half', `${valid}{`),
  text('an event with a comment', `/* trust me */${valid}`),
  text('an event behind a byte order mark', `\ufeff${valid}`),
  text('a duplicate member', `${start},"type":"request.approved"}`),
  text('a duplicate member in another spelling', `${start},"\\u0074ype":"request.approved"}`),
  text('a duplicate member inside data', valid.replace('"data":{', '"data":{"request_id":"req_another",')),
  text('a member named __proto__', `${start},"__proto__":{"version":9}}`),
  text('half a surrogate pair', `${start},"note":"\\ud83d"}`),
  text('33 levels', `${start},"note":${'['.repeat(32)}${']'.repeat(32)}}`),
  {
    desc: 'a byte that is not UTF-8',
    topic,
    bytes: Uint8Array.of(...utf8.encode(`${start},"note":"`), 0xff, ...utf8.encode('"}')),
    wantErr: 'json_malformed',
  },
  text('null', 'null', 'event_malformed'),
  text('a batch of events', `[${valid}]`, 'event_malformed'),
  text(
    'a type that is a member of every object',
    valid.replace('"type":"request.expired"', '"type":"constructor"'),
    'event_type_unknown',
  ),
  text('one byte too many', eventOfSize(maxEventBytes + 1), 'event_too_large'),
]

/** A valid event, padded to this many bytes with a member that every reader ignores. */
export function eventOfSize(size: number): string {
  const padding = size - utf8.encode(`${start},"padding":""}`).length
  return `${start},"padding":"${'x'.repeat(padding)}"}`
}

/** Events that must be refused, with the error code. Every event type of every topic has its own. */
export const invalidEvents: readonly InvalidEvent[] = [...malformed, ...misplaced, ...unreadable]
