import { expect, it } from 'vitest'
import { decodeEvent } from './decode.ts'
import { eventText, exampleEvent, examplesOf } from './examples/index.ts'
import { topics } from './topics.ts'

const utf8 = new TextEncoder()

/**
 * Places where another component judges an unknown member (the authority: `authority`, with `authority_not_understood`; the obligation: the
 * enforcement point, which then denies), or where it means nothing (a report by an agent, an action's arguments in OCSF).
 */
const open = [/\/authority(\/|$)/, /^\/obligations\//]
const openTypes = new Map([
  ['access-request.submitted', /^$/],
  ['leaf.appended', /^\/api\/request\/data$/],
])

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Every object inside a value, by its JSON pointer. */
function objectsIn(value: unknown, pointer = ''): string[] {
  if (typeof value !== 'object' || value === null) return []
  const below = Object.entries(value).flatMap(([key, member]) => objectsIn(member, `${pointer}/${key}`))
  return isObject(value) ? [pointer, ...below] : below
}

/** A copy with one more member, unknown to every schema, in the object at this pointer. */
function withUnknownMember(value: unknown, target: string, pointer = ''): unknown {
  if (Array.isArray(value)) return value.map((member, n) => withUnknownMember(member, target, `${pointer}/${n}`))
  if (!isObject(value)) return value
  const copy = Object.entries(value).map(([key, member]): [string, unknown] => [
    key,
    withUnknownMember(member, target, `${pointer}/${key}`),
  ])
  return Object.fromEntries(pointer === target ? [...copy, ['unknown_member', { $: 1 }]] : copy)
}

const places = topics.flatMap((topic) =>
  Object.keys(topic.events).flatMap((type) =>
    Object.entries(examplesOf(topic, type)).flatMap(([desc, data]) =>
      objectsIn(data).map((pointer) => ({ topic, type, desc, data, pointer })),
    ),
  ),
)
const isOpen = ({ type, pointer }: { type: string; pointer: string }) =>
  open.some((place) => place.test(pointer)) || openTypes.get(type)?.test(pointer) === true
const decodedWithUnknown = ({ topic, type, data, pointer }: (typeof places)[number]) =>
  decodeEvent(topic, utf8.encode(eventText(exampleEvent(topic.name, type, withUnknownMember(data, pointer)))))

it('refuses an unknown member at every depth of statements, entities, grants and all other data', () => {
  const strict = places.filter((place) => !isOpen(place))
  const taken = strict.filter((place) => decodedWithUnknown(place).ok)
  expect(strict.length).toBeGreaterThan(300)
  expect(taken.map(({ topic, type, pointer }) => `${topic.name} ${type} ${pointer}`)).toEqual([])
})

it('leaves an unknown member of an authority to the one who judges authorities', () => {
  const authorities = places.filter(({ pointer }) => pointer.endsWith('/authority'))
  expect(authorities.length).toBeGreaterThan(10)
  for (const place of authorities) {
    expect(decodedWithUnknown(place)).toMatchObject({ ok: true })
    expect(JSON.stringify(decodedWithUnknown(place))).toContain('unknown_member')
  }
})

it('ignores an unknown member of the envelope and of an agent’s report, and does not pass it on', () => {
  for (const topic of topics) {
    const [type = ''] = Object.keys(topic.events)
    const event = exampleEvent(topic.name, type)
    const text = eventText(event).replace('{', '{"unknownmember":{"a":1},')
    expect(decodeEvent(topic, utf8.encode(text))).toEqual({ ok: true, event })
  }
  const [report] = places.filter(({ type, pointer }) => type === 'access-request.submitted' && pointer === '')
  if (report === undefined) throw new Error('no report')
  expect(JSON.stringify(decodedWithUnknown(report))).not.toContain('unknown_member')
})
