import type { EntityJson } from '@cedar-policy/cedar-wasm/nodejs'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { askCedar } from './ask-cedar.ts'
import { entityStore } from './entity-store.ts'
import { loadPolicySet } from './policy-set.ts'
import { preparse } from './preparse.ts'

const ids = fc.integer({ min: 0, max: 6 }).map(String)
const named = ids.map((id) => ({ type: 'E', id }))
const reference = named.map((name) => ({ __entity: name }))

/** Parents have a higher id, so that nobody is their own ancestor. */
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
