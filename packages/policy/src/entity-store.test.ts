import type { EntityJson } from '@cedar-policy/cedar-wasm/nodejs'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { askCedar } from './ask-cedar.ts'
import { isAction } from './entity-name.ts'
import { entityStore, namesIn } from './entity-store.ts'
import { loadPolicySet } from './policy-set.ts'
import { preparse } from './preparse.ts'

const ids = fc.integer({ min: 0, max: 6 }).map(String)
const named = ids.map((id) => ({ type: 'E', id }))
const reference = named.map((name) => ({ __entity: name }))

/** Parents have a higher id, so that no entity is its own ancestor. */
const entities = fc
  .uniqueArray(
    fc.record({
      id: ids,
      parents: fc.array(named, { maxLength: 2 }),
      attrs: fc.dictionary(
        fc.constantFrom('a', 'b', 'n'),
        fc.oneof(
          reference,
          fc.integer({ min: 0, max: 3 }),
          fc.array(reference, { maxLength: 2 }),
          fc.array(fc.record({ a: reference }), { maxLength: 2 }),
          fc.record({ a: reference }),
        ),
      ),
    }),
    { selector: ({ id }) => id },
  )
  .map((all) =>
    all.map(
      ({ id, parents, attrs }) =>
        ({
          uid: { type: 'E', id },
          attrs,
          parents: parents.filter((parent) => parent.id > id),
        }) as unknown as EntityJson,
    ),
  )

const root = fc.oneof(
  fc.constantFrom('principal', 'resource', 'context.who'),
  ids.map((id) => `E::"${id}"`),
)
const value = fc
  .tuple(root, fc.constantFrom('', '.a', '.b', '.n', '.a.b', '.a.a.n', '.a.n'))
  .map(([from, path]) => from + path)
const condition = fc.oneof(
  fc.tuple(value, ids).map(([of, id]) => `${of} in E::"${id}"`),
  fc.tuple(value, value).map(([a, b]) => `${a} == ${b}`),
  fc.tuple(value, value).map(([a, b]) => `${a} in ${b}`),
  fc.tuple(value, value).map(([a, b]) => `${a}.contains(${b})`),
  fc.tuple(value, value).map(([a, b]) => `${a} in [${b}, principal]`),
  fc.tuple(value, fc.constantFrom('a', 'b', 'n')).map(([of, name]) => `${of} has ${name}`),
  value.map((of) => `${of} > 1`),
)
const policy = fc
  .tuple(fc.constantFrom('permit', 'forbid'), fc.option(ids), fc.array(condition, { minLength: 1, maxLength: 2 }))
  .map(
    ([effect, group, all]) =>
      `${effect} (principal${group === null ? '' : ` in E::"${group}"`}, action, resource) when { ${all.join(' && ')} };`,
  )

it('gives Cedar what it can reach: all entities would give the same answer, the same errors included (V13)', () => {
  const set = (text: string) => loadPolicySet(new Map([['a.cedar', Buffer.from(text)]]))
  let decided = 0
  fc.assert(
    fc.property(
      entities,
      fc.array(policy, { minLength: 1, maxLength: 4 }),
      named,
      named,
      reference,
      (all, texts, principal, resource, who) => {
        const loaded = set(texts.join('\n'))
        const names = preparse(loaded, 'entity-store.test')
        const store = entityStore(all, loaded.policies.values(), true)
        const request = { principal, action: 'x', resource, context: { who } }
        const reachable = [...store.reachable([principal, resource, request.context]).values()]
        const answer = askCedar(names, { ...request, entities: reachable })
        expect(answer).toEqual(askCedar(names, { ...request, entities: all }))
        if (answer.ok && answer.errors.length === 0) decided++
      },
    ),
    { numRuns: 500 },
  )
  expect(decided).toBeGreaterThan(50)
})

it('leaves out what nothing leads to', () => {
  const { policies } = loadPolicySet(
    new Map([['a.cedar', Buffer.from('permit (principal in E::"2", action, resource);')]]),
  )
  const all = ['0', '1', '2', '3'].map((id) => ({ uid: { type: 'E', id }, attrs: {}, parents: [] }))
  const store = entityStore(all, policies.values(), true)
  expect([...store.reachable([{ type: 'E', id: '0' }]).keys()]).toEqual(['E 0'])
})

it('takes no entity that says two names', () => {
  const entity = { uid: { type: 'E', id: '0', __entity: { type: 'E', id: '1' } }, attrs: {}, parents: [] } as EntityJson
  expect(() => entityStore([entity], [], true)).toThrow('entities.json')
})

const entity = (type: string, id: string, more: object = {}) =>
  ({ uid: { type, id }, attrs: {}, parents: [], ...more }) as unknown as EntityJson

it('finds what is stored by name, by type, and above it at any distance, stored or not', () => {
  const [a, b, c] = ['a', 'b', 'c'].map((id) => ({ type: 'E', id }))
  const all = [entity('E', 'b', { parents: [c] }), entity('F', 'x'), entity('E', 'a', { parents: [b] })]
  const store = entityStore(all, [], true)
  expect(store.get({ type: 'E', id: 'a' })).toBe(all[2])
  expect(store.get({ type: 'E', id: 'c' })).toBeUndefined()
  expect([store.ofType('E'), store.ofType('F'), store.ofType('G')]).toEqual([[b, a], [{ type: 'F', id: 'x' }], []])
  expect([a, b, c].map((name) => store.ancestors(name as { type: string; id: string }))).toEqual([[b, c], [c], []])
})

it('hands Cedar actions only where no schema does, and lists them always', () => {
  const names = [
    { type: 'Action', id: 'a' },
    { type: 'N::Action', id: 'b' },
  ]
  const all = [...names, { type: 'MyAction', id: 'c' }, { type: 'Action::N', id: 'd' }]
  const stored = (actionsStored: boolean) => {
    const store = entityStore(
      all.map(({ type, id }) => entity(type, id)),
      [],
      actionsStored,
    )
    expect(store.actions).toEqual(names)
    return all.filter((name) => store.get(name) !== undefined).map(({ id }) => id)
  }
  expect([stored(true), stored(false)]).toEqual([
    ['a', 'b', 'c', 'd'],
    ['c', 'd'],
  ])
  expect(all.map(isAction)).toEqual([true, true, false, false])
})

it('reaches everything once, by parents, attributes and tags, also where they go in a circle', () => {
  const all = [
    entity('E', '0', { parents: [{ type: 'E', id: '1' }] }),
    entity('E', '1', { attrs: { next: { is: { __entity: { type: 'E', id: '2' } } } } }),
    entity('E', '2', { tags: { last: { __entity: { type: 'E', id: '3' } } } }),
    entity('E', '3', { attrs: { first: { __entity: { type: 'E', id: '0' } } } }),
    entity('E', '4'),
  ]
  const store = entityStore(all, [], true)
  expect([...store.reachable([{ a: { type: 'E', id: '0' } }]).keys()].sort()).toEqual(['E 0', 'E 1', 'E 2', 'E 3'])
  expect([...store.reachable([{ type: 'E', id: '5' }]).keys()]).toEqual([])
})

it('leaves what is in sets, which Cedar cannot take out of them: a list of a thousand readers is a list', () => {
  const readers = [{ __entity: { type: 'E', id: '1' } }, { who: { type: 'E', id: '2' } }]
  const all = [
    entity('E', '0', {
      attrs: { readers, all: { of: readers } },
      tags: { more: readers },
      parents: [{ type: 'E', id: '3' }],
    }),
    ...['1', '2', '3'].map((id) => entity('E', id)),
  ]
  const store = entityStore(all, [], true)
  expect([...store.reachable([{ type: 'E', id: '0' }]).keys()]).toEqual(['E 0', 'E 3'])
  expect([...store.reachable([{ context: readers }]).keys()]).toEqual([])
})

it('finds each value that may be a name, and no other', () => {
  const name = { type: 'E', id: '0' }
  expect(namesIn([{ ...name, in: [{ x: { type: 'F', id: '1' } }] }])).toEqual([name, { type: 'F', id: '1' }])
  for (const none of [
    null,
    undefined,
    1,
    'E',
    { type: 'E' },
    { id: '0' },
    { type: 1, id: '0' },
    { type: 'E', id: 0 },
    [null],
  ])
    expect(namesIn(none)).toEqual([])
})

it.each([
  [{ uid: { type: 'E', id: '0', also: { type: 'E', id: '1' } } }],
  [{ uid: 'E' }],
  [
    {
      uid: {
        __entity: [
          { type: 'E', id: '0' },
          { type: 'E', id: '1' },
        ],
      },
    },
  ],
])('refuses an entity whose uid is not one name: %j (V13)', (over) => {
  expect(() => entityStore([entity('E', '0', over)], [], true)).toThrow(
    'entities.json: an entity whose uid is not one type and id',
  )
})
