import { describe, expect, it } from 'vitest'
import { readMapping } from './authzen-mapping.ts'
import { entities, found, holds, policiesOf, reading, schema } from './authzen-policies.fixture.ts'
import type { PlainRequest } from './authzen-policies.ts'

describe('authzen.yaml', () => {
  const mapping = `types: { user: "App::User", doc: "App::Doc" }
actions: { can_read: { type: "App::Action", id: read } }
action_properties: nested
asserted: { subject: false }
`
  it('names types and actions as the caller has them', () => {
    const set = policiesOf({
      schema,
      entities,
      mapping,
      policies:
        'permit (principal, action, resource) when { context has nested && context.nested has a && context.nested.a == 1 && context has friend && context.friend.age == 50 };',
    })
    const request: PlainRequest = {
      subject: { type: 'user', id: 'anna', properties: { boss: { type: 'user', id: 'boss' } } },
      action: { name: 'can_read', properties: { a: 1 } },
      resource: { type: 'doc', id: 'plan' },
      context: { friend: { type: 'user', id: 'boss' } },
    }
    expect(set.evaluate(request).outcome).toBe('allow')
    const { action } = request
    const { subject, resource, context } = { ...request, context: request.context ?? {} }
    expect(found(set, { entity: 'subject', subject: { type: 'user' }, action, resource, context }).sort()).toEqual([
      'anna',
      'boss',
    ])
    expect(found(set, { entity: 'action', subject, resource, context: { ...context, nested: { a: 1 } } })).toEqual([
      'can_read',
      'read',
      'weird/name?',
    ])
  })

  it('takes what is stored alone, where it says so', () => {
    const subject = { type: 'App::User', id: 'anna', properties: { boss: { type: 'App::User', id: 'boss' } } }
    expect(holds('principal has boss', reading({ subject }))).toBe('allow')
    expect(holds('principal has boss', reading({ subject }), { mapping })).toBe('deny')
  })

  it.each<[why: string, mapping: string, says: string]>([
    ['another member', 'type: {}', 'authzen.yaml: Unrecognized key'],
    ['what is no type', 'types: { user: 5 }', 'authzen.yaml: types.user: Invalid input'],
    ['no YAML', '{', 'authzen.yaml: '],
    ['a key twice', 'types: {}\ntypes: {}', 'authzen.yaml: Map keys must be unique'],
    ['a type that the schema lacks', 'types: { user: Robot }', 'Robot'],
    ['an action that the schema lacks', 'actions: { r: { type: Action, id: read } }', 'Action::"read"'],
    ['a list', '[]', 'authzen.yaml'],
  ])('is refused with %s', (_, mapping, says) => {
    expect(() => policiesOf({ schema, entities, mapping, policies: '' })).toThrow(says)
  })

  it('is refused in one line', () => {
    const told = (mapping: string, stored: unknown = []) => {
      try {
        return policiesOf({ policies: '', mapping, entities: stored }) && 'nothing'
      } catch (error) {
        return (error as { detail: string }).detail
      }
    }
    expect(told('{')).toMatch(/^policies: authzen\.yaml: .+$/)
    expect(told('', [{ uid: { type: 'no name', id: 'x' }, attrs: {}, parents: [] }])).toMatch(
      /^policies: entities\.json: .+$/,
    )
  })

  it('has a default for each member that it leaves out', () => {
    const none = { types: new Map(), actions: new Map(), actionProperties: 'action' }
    const asserted = (subject: boolean, resource: boolean) => ({ ...none, asserted: { subject, resource } })
    for (const text of [undefined, '', '{}', 'asserted: {}']) expect(readMapping(text)).toEqual(asserted(true, true))
    expect(readMapping('asserted: { subject: false }')).toEqual(asserted(false, true))
    expect(readMapping('asserted: { resource: false }')).toEqual(asserted(true, false))
    expect(readMapping('types: { a: B }\nactions: { c: { type: D::Action, id: e } }\naction_properties: f')).toEqual({
      ...{ types: new Map([['a', 'B']]), actions: new Map([['c', { type: 'D::Action', id: 'e' }]]) },
      ...{ actionProperties: 'f', asserted: { subject: true, resource: true } },
    })
    const more = ['asserted: { who: true }', 'actions: { r: { type: A, id: b, c: d } }', 'actions: { r: { type: A } }']
    for (const text of more) expect(() => readMapping(text)).toThrow('authzen.yaml: ')
  })

  it.each<[why: string, mapping: string, says: string]>([
    ['a type that is no name', 'types: { user: "no such type" }', 'types.user: "no such type"'],
    ['a type with a space', 'types: { user: "App :: User" }', 'types.user'],
    ['an empty type', 'types: { user: "" }', 'types.user'],
    ['a word of Cedar’s for a type', 'types: { user: if }', 'types.user'],
    ['a policy for a type', 'types: { user: "U, action, resource); permit (principal" }', 'types.user'],
    ['an action of a type that is no name', 'actions: { r: { type: "A b::Action", id: x } }', 'actions.r'],
    ['an action that is none', 'actions: { r: { type: User, id: x } }', 'actions.r: "User"'],
  ])('is refused without a schema, too, with %s', (_, mapping, says) => {
    expect(() => policiesOf({ policies: '', mapping })).toThrow(
      expect.objectContaining({ code: 'config_invalid', detail: expect.stringContaining(`authzen.yaml: ${says}`) }),
    )
  })

  it('names any type and action that there could be, without a schema', () => {
    const mapping = 'types: { user: "A::b::User_1" }\nactions: { r: { type: "A::Action", id: "any id?" } }'
    const policies = 'permit (principal is A::b::User_1, action == A::Action::"any id?", resource);'
    const request = { subject: { type: 'user', id: 'x' }, action: { name: 'r' }, resource: { type: 'R', id: 'r' } }
    expect(policiesOf({ policies, mapping }).evaluate(request).outcome).toBe('allow')
  })

  it('may be empty', () => {
    expect(holds('true', reading(), { mapping: '# nothing\n' })).toBe('allow')
  })
})
