import { describe, expect, it } from 'vitest'
import { commitmentsIn } from './commitments.ts'
import { eventRow, eventTable, leafEventTypes, type Pointer, type ThingAt, textAt, thingsAt } from './event-table.ts'
import { exampleEvent, examplesOf } from './examples/index.ts'
import { dataSchema, type JsonSchema } from './generate/json-schema.ts'
import { topics } from './topics.ts'

const leaves = topics.filter(({ leaf }) => leaf)
const examplesOfType = (type: string) =>
  leaves
    .filter(({ events }) => type in events)
    .flatMap((topic) => Object.values(examplesOf(topic, type)).map((data) => exampleEvent(topic.name, type, data)))

const pointerOf = (place: ThingAt): Pointer => (typeof place === 'string' ? place : place.approvalOf)

/** Whether data of this schema can have a text at this path. */
function leadsTo(schema: JsonSchema, path: readonly string[], root: JsonSchema): boolean {
  const { $ref, properties, type, oneOf, anyOf, ...rest } = schema
  if (typeof $ref === 'string') return leadsTo(Object(root.$defs)[$ref.slice($ref.lastIndexOf('/') + 1)], path, root)
  const choices = [oneOf, anyOf].flatMap((all) => (all ?? []) as JsonSchema[])
  if (choices.some((choice) => leadsTo(choice, path, root))) return true
  const [member, ...more] = path
  if (member === undefined) return type === 'string' || 'const' in rest || 'enum' in rest
  const inner = Object(properties)[member] as JsonSchema | undefined
  return inner !== undefined && leadsTo(inner, more, root)
}

it('has a row for each event that is a leaf, and no other', () => {
  expect(Object.keys(eventTable).sort()).toEqual([...leafEventTypes].sort())
  expect(eventRow('thing.unheard-of')).toBeUndefined()
  expect(eventRow('constructor')).toBeUndefined()
})

describe.each(leafEventTypes)('%s', (type) => {
  const row = eventTable[type as keyof typeof eventTable]

  it('names members that its events have', () => {
    const { begins, from = [], beside = [], about = [], heldUnder, ends, passes, gist = [] } = row
    const inherited = passes?.inherited === true || passes === undefined ? [] : [passes.inherited]
    const pointers = [
      ...[begins ?? [], from, beside].flat().map(pointerOf),
      ...[...about, ...inherited, ...(heldUnder ? [heldUnder] : []), ...(ends ? [ends] : [])],
      ...gist.flatMap(({ of }) => of).filter((at) => at !== 'subject'),
    ]
    const schemas = leaves.filter(({ events }) => type in events).map((topic) => dataSchema(topic, type))
    const hasMember = (at: Pointer) => schemas.some((schema) => leadsTo(schema, at.slice(1).split('/'), schema))
    expect(pointers.filter((at) => !hasMember(at))).toEqual([])
  })

  it('says where its events hold a value as a salted hash alone', () => {
    const held = examplesOfType(type).flatMap(({ data }) => commitmentsIn(data).map(({ at }) => at))
    expect([...new Set(held)].sort()).toEqual([...(row.values ?? [])].sort())
  })

  it('passes on facets only of what it begins', () => {
    if (row.passes !== undefined) expect(row.begins).toBeDefined()
  })
})

it('begins each thing by one event type, or a decision by its yes or its no', () => {
  const begun = Object.entries(eventTable).filter(([, { begins }]) => begins !== undefined)
  const byPlace = Map.groupBy(begun, ([, { begins }]) => JSON.stringify(begins))
  expect([...byPlace].map(([at, rows]) => [at, rows.map(([type]) => type)])).toEqual([
    ['"/request_id"', ['request.received']],
    ['{"approvalOf":"/request_id"}', ['request.approved']],
    ['"/grant/id"', ['grant.created']],
    ['"/delegation_id"', ['delegation.redeemed']],
    ['"/credential_id"', ['credential.intended']],
    ['"/decision_id"', ['decision.allowed', 'decision.denied']],
  ])
})

it('takes nothing for a name that is no text, or that an object only inherits', () => {
  expect(textAt({ a: { b: 'c' } }, '/a/b')).toBe('c')
  for (const data of [{ a: 'b' }, { a: null }, { a: { b: 1 } }, null, 'text', [], { a: Object.create({ b: 'c' }) }])
    expect(textAt(data, '/a/b')).toBeUndefined()
  expect(textAt({}, '/constructor/name')).toBeUndefined()
  expect(thingsAt({ id: 'req_1' }, ['/missing', { approvalOf: '/id' }, '/id'])).toEqual(['approval of req_1', 'req_1'])
})
