import { describe, expect, it } from 'vitest'
import { bare, entities, found, holds, policiesOf, reading, schema } from './authzen-policies.fixture.ts'
import { AuthZenPolicies, type PlainRequest, PolicySlot } from './authzen-policies.ts'
import { dutiesOf } from './policy-obligations.ts'
import { loadPolicySet } from './policy-set.ts'

describe('names', () => {
  it.each([
    ' App::User',
    'App::User ',
    'app::user',
    'App :: User',
    'App::User\n',
    'Ａpp::User',
    '',
    'User',
    'App:User',
    'if',
    '__cedar::User',
    'App::',
    '-',
  ])('a type that is not exactly a declared name denies: %j', (type) => {
    expect(holds('true', reading({ subject: { type, id: 'anna' } }))).toBe('invalid')
    expect(holds('true', reading({ resource: { type, id: 'plan' } }))).toBe('invalid')
  })

  it.each(['App :: User', ' User', '', 'a/b', 'if', 'Größe'])(
    'without a schema, a type that is no Cedar name denies: %j',
    (type) => {
      expect(holds('true', reading({ subject: { type, id: 'x' } }), bare)).toBe('invalid')
    },
  )

  it.each(['', ' ', ' anna', 'Anna', 'a\u0301', '\u00e1', '\u0000', '"; permit', 'x'.repeat(5000)])(
    'an id is taken verbatim: %j',
    (id) => {
      const subject = { type: 'App::User', id }
      const literal = `principal == App::User::${JSON.stringify(id).replaceAll(/\\u([0-9a-f]{4})/g, '\\u{$1}')}`
      expect(holds(literal, reading({ subject }))).toBe('allow')
      expect(holds(literal, reading())).toBe('deny')
    },
  )

  it('an action is Action::"name", or the only one of that id in any namespace', () => {
    expect(holds('action == App::Action::"read"')).toBe('allow')
    expect(holds('true', reading({ action: { name: 'weird/name?' } }))).toBe('allow')
    expect(holds('true', reading({ action: { name: 'fly' } }))).toBe('invalid')
    expect(holds('true', reading({ action: { name: 'App::Action::"read"' } }))).toBe('invalid')
    const also = (space: string) =>
      `${schema}\n${space} { entity U; action read appliesTo { principal: [U], resource: [U] }; }`
    expect(holds('true', reading(), { schema: also('namespace Other') })).toBe('invalid')
  })

  it('without a schema, actions are those that entities and policies name', () => {
    expect(holds('action == App::Action::"read"', reading(), bare)).toBe('allow')
    expect(holds('action == Action::"read"', reading(), bare)).toBe('allow')
    expect(holds('action == Action::"read" || action == App::Action::"write"', reading(), bare)).toBe('allow')
    expect(holds('action == Action::"read" || action == App::Action::"read"', reading(), bare)).toBe('allow')
    expect(holds('[App::Action::"read", Other::Action::"read"].contains(action)', reading(), bare)).toBe('invalid')
    const group = { uid: { type: 'X::Action', id: 'read' }, attrs: {}, parents: [{ type: 'X::Action', id: 'all' }] }
    expect(holds('action in X::Action::"all"', reading(), { ...bare, entities: [group] })).toBe('allow')
  })
})

describe('what is asserted, with a schema', () => {
  it('is dropped where the schema does not declare it, at every depth', () => {
    const request = reading({
      subject: {
        type: 'App::User',
        id: 'new',
        properties: { age: 1, x: 1, profile: { level: 2, x: { y: 1 }, more: { deep: true, z: [] } } },
      },
      resource: { type: 'App::Doc', id: 'plan', properties: { x: 1.5, tags: [{ name: 'a', x: null }] } },
      action: { name: 'read', properties: { n: 7, x: { type: 'App::User', id: 'a' } } },
      context: { mfa: true, x: 1, nested: { a: 3, b: { c: 1 } }, friend: { type: 'App::User', id: 'boss', x: 1 } },
    })
    const present = [
      'principal has profile && principal.profile has more && principal.profile.more.deep && principal.profile.level == 2',
      'resource has tags && resource.tags.contains({ name: "a" })',
      'context has action && context.action has n && context.action.n == 7',
      'context has nested && context.nested has a && context.nested.a == 3',
      'context has friend && context.friend.age == 50',
    ]
    expect(holds(present.join(' && '), request)).toBe('allow')
  })

  it('is absent where it is null', () => {
    const request = reading({ context: { mfa: null, nested: { a: null } } })
    expect(holds('!(context has mfa) && context has nested && !(context.nested has a)', request)).toBe('allow')
  })

  it.each<[what: string, more: Partial<PlainRequest>]>([
    ['a text for an integer', { context: { limit: '1' } }],
    ['a fraction for an integer', { context: { limit: 1.5 } }],
    ['more than 64 bits', { context: { limit: 2n ** 63n } }],
    ['what lost its digits', { context: { limit: 2 ** 60 } }],
    ['a number for a truth', { context: { mfa: 1 } }],
    ['a list for a truth', { context: { mfa: [true] } }],
    ['an object for an integer', { context: { nested: { a: {} } } }],
    ['a list for a record', { context: { nested: [] } }],
    ['a text for a reference', { context: { friend: 'boss' } }],
    ['a reference to another type', { context: { friend: { type: 'App::Doc', id: 'plan' } } }],
    ['a reference without an id', { context: { friend: { type: 'App::User' } } }],
    ['no address', { context: { ip: '10.0.0.256' } }],
    ['an address as Cedar spells its calls', { context: { ip: { fn: 'ip', arg: '10.0.0.1' } } }],
    ['no decimal', { resource: { type: 'App::Doc', id: 'plan', properties: { price: '1.23456' } } }],
    ['null in a set', { resource: { type: 'App::Doc', id: 'plan', properties: { tags: [null] } } }],
    ['a record that lacks a member', { resource: { type: 'App::Doc', id: 'plan', properties: { tags: [{}] } } }],
    ['a wrong one of what is stored', { subject: { type: 'App::User', id: 'anna', properties: { age: 'old' } } }],
    ['an entity that lacks an attribute', { subject: { type: 'App::User', id: 'new', properties: { home: '::1' } } }],
    ['a wrong one of the action', { action: { name: 'read', properties: { n: true } } }],
  ])('denies when it is of a wrong type: %s', (_, more) => {
    expect(holds('true')).toBe('allow')
    expect(holds('true', reading(more))).toBe('invalid')
  })

  it('takes references and extension values in their plain form', () => {
    const request = reading({
      resource: { type: 'App::Doc', id: 'plan', properties: { price: '12.50' } },
      context: { ip: '10.0.0.1', friend: { type: 'App::User', id: 'anna' } },
    })
    const condition =
      'resource has price && resource.price == decimal("12.5") && context has ip && context.ip.isInRange(ip("10.0.0.0/8")) && context has friend && context.friend in App::Team::"a" && principal has home && context.ip == principal.home'
    expect(holds(condition, request)).toBe('allow')
  })

  it('keeps 64 bits', () => {
    const limit = 9223372036854775807n
    const is = (n: bigint) => holds(`context has limit && context.limit == ${n}`, reading({ context: { limit } }))
    expect([is(limit), is(limit - 1n)]).toEqual(['allow', 'deny'])
  })
})

describe('without a schema', () => {
  it('everything passes through, null alone is absent', () => {
    const request = reading({
      subject: {
        type: 'App::User',
        id: 'x',
        properties: {
          a: { b: [1, { c: 'd' }], n: null },
          who: { type: 'App::User', id: 'y' },
          big: -9223372036854775808n,
        },
      },
      context: { any: { thing: true } },
    })
    const condition =
      'principal.a == { b: [{ c: "d" }, 1] } && principal.who == { type: "App::User", id: "y" } && principal.big < -9223372036854775807 && context.any.thing'
    expect(holds(condition, request, bare)).toBe('allow')
  })

  it.each(['__entity', '__extn', '__expr'])('refuses %s at any depth: a caller names no types', (name) => {
    for (const value of [{ [name]: 'x' }, { a: [{ b: { [name]: { type: 'App::Team', id: 'a' } } }] }]) {
      const properties = value as Record<string, unknown>
      expect(() => holds('true', reading({ context: properties }), bare)).toThrow('request_malformed')
      expect(() => holds('true', reading({ subject: { type: 'U', id: 'x', properties } }), bare)).toThrow(
        'request_malformed',
      )
      expect(() => holds('true', reading({ resource: { type: 'U', id: 'x', properties } }), bare)).toThrow(
        'request_malformed',
      )
      expect(() => holds('true', reading({ action: { name: 'x', properties } }), bare)).toThrow('request_malformed')
    }
  })

  it.each([1.5, Number.NaN, 2 ** 53, [null], { a: [0.1] }])('denies what Cedar has no value for: %j', (value) => {
    expect(holds('true', reading({ context: { value } }), bare)).toBe('invalid')
  })
})

describe('entities', () => {
  it('stored attributes win, whole; others are added', () => {
    const stored = [{ uid: { type: 'U', id: 'a' }, attrs: { r: { x: 1 } }, parents: [{ type: 'G', id: 'g' }] }]
    const request = {
      subject: { type: 'U', id: 'a', properties: { r: { x: 2, y: 3 }, s: 4 } },
      action: { name: 'x' },
      resource: { type: 'R', id: 'r' },
    }
    expect(
      holds('principal.r == { x: 1 } && principal.s == 4 && principal in G::"g"', request, {
        schema: undefined,
        entities: stored,
      }),
    ).toBe('allow')
  })

  it('are added only if something asserted is left', () => {
    const optional = 'entity U { a?: Long }; entity R; action x appliesTo { principal: U, resource: R };'
    const request = (properties: Record<string, unknown>) => ({
      subject: { type: 'U', id: 'a', properties },
      action: { name: 'x' },
      resource: { type: 'R', id: 'r' },
    })
    const ask = (properties: Record<string, unknown>) =>
      holds('principal has a || true', request(properties), { schema: optional, entities: [] })
    expect(ask({ a: 1 })).toBe('allow')
    expect(ask({ b: 1 })).toBe('allow')
    // An entity that does not exist has no attributes: reading one is an error, which denies.
    const forbid = {
      schema: 'entity U { a: Long }; entity R; action x appliesTo { principal: U, resource: R };',
      policies: '@id("p") permit (principal, action, resource) when { principal.a > 0 };',
    }
    expect(policiesOf(forbid).evaluate(request({ b: 1 }))).toEqual({ outcome: 'error', policies: ['p'] })
    expect(policiesOf(forbid).evaluate(request({ a: 1 }))).toEqual({ outcome: 'allow', policies: ['p'] })
  })

  it('that are subject and resource at once are one; two values of one attribute are none', () => {
    const meeting = (a: object, b: object, id = 'new') =>
      reading({
        subject: { type: 'App::User', id: 'new', properties: { ...a } },
        action: { name: 'meet' },
        resource: { type: 'App::User', id, properties: { ...b } },
      })
    const condition = 'principal == resource && principal.age == 5 && resource has home'
    expect(holds(condition, meeting({ age: 5 }, { home: '::1' }))).toBe('allow')
    expect(holds(condition, meeting({ age: 5 }, { age: 5, home: '::1' }))).toBe('allow')
    expect(holds('true', meeting({ age: 5 }, { age: 6 }))).toBe('invalid')
    const same = (a: unknown, b: unknown) => holds('true', meeting({ age: 5, x: a }, { age: 5, x: b }), bare)
    expect(same({ a: 1, b: [1, 2] }, { b: [2, 1, 2], a: 1 })).toBe('allow')
    expect([same({ a: 1 }, { a: 2 }), same([1], [1, 2]), same({ a: [] }, { a: {} })]).toEqual(Array(3).fill('invalid'))
    expect(holds('true', meeting({ age: 5 }, { age: 6 }, 'other'))).toBe('allow')
  })

  it.each(['parents', 'parent', 'memberOf', 'groups', 'ancestors'])(
    'have no parents that a caller asserts, as %s',
    (name) => {
      const team = { type: 'App::Team', id: 'a' }
      const properties = { age: 1, [name]: [team] }
      const subject = { type: 'App::User', id: 'new', properties, [name]: [team] }
      expect(holds('principal in App::Team::"a"', reading({ subject }))).toBe('deny')
      expect(holds('principal in App::Team::"a"', reading({ subject }), bare)).toBe('deny')
      expect(holds('principal in App::Team::"a"')).toBe('allow')
    },
  )

  it('are there wherever a policy comes to them', () => {
    const doc = '(if resource is App::Doc then resource.owner.age else 0)'
    expect(holds(`${doc} == 50`)).toBe('allow')
    expect(holds('App::User::"boss".age > 40')).toBe('allow')
    const chain = Array.from({ length: 20 }, (_, n) => ({
      uid: { type: 'G', id: String(n) },
      attrs: {},
      parents: [{ type: 'G', id: String(n + 1) }],
    }))
    const request = { subject: { type: 'G', id: '0' }, action: { name: 'x' }, resource: { type: 'R', id: 'r' } }
    expect(holds('principal in G::"20"', request, { schema: undefined, entities: chain })).toBe('allow')
    const tagged = 'entity U { a?: Long } tags U; entity R; action x appliesTo { principal: U, resource: R };'
    const tags = [
      { uid: { type: 'U', id: '0' }, attrs: {}, parents: [], tags: { next: { type: 'U', id: '1' } } },
      { uid: { type: 'U', id: '1' }, attrs: { a: 7 }, parents: [] },
    ]
    const condition = 'principal.hasTag("next") && principal.getTag("next") has a && principal.getTag("next").a == 7'
    expect(holds(condition, { ...request, subject: { type: 'U', id: '0' } }, { schema: tagged, entities: tags })).toBe(
      'allow',
    )
  })
})

it('action.properties replaces context.action, whole', () => {
  const context = { action: { n: 1, why: 'caller' } }
  const n = 'context has action && context.action has n && context.action.n'
  expect(holds(`${n} == 1`, reading({ context }))).toBe('allow')
  const request = reading({ context, action: { name: 'read', properties: { n: 2 } } })
  expect(holds(`${n} == 2 && !(context.action has why)`, request)).toBe('allow')
})

describe('an evaluation error in any policy denies, even if others permit (V13)', () => {
  // Without a schema, only the evaluation itself can notice a missing value or one of another type.
  const policies = `@id("all") permit (principal, action, resource);
@id("guard") forbid (principal, action, resource) when {
  context.risk > 5 || !context.mfa || context.zone like "evil*" || context.tags.contains("bad") || context.nested.level > 3 ||
  principal.age < 18 || resource.locked
};`
  const set = policiesOf({ policies })
  const context = { risk: 1, mfa: true, zone: 'good', tags: ['fine'], nested: { level: 1 } }
  const good = {
    subject: { type: 'U', id: 'a', properties: { age: 30 } },
    action: { name: 'x' },
    resource: { type: 'R', id: 'r', properties: { locked: false } },
    context,
  }
  const others = [1, true, 'text', ['x'], { x: 1 }]

  it('permits what is whole', () => {
    expect(set.evaluate(good)).toEqual({ outcome: 'allow', policies: ['all'] })
  })

  it.each(Object.keys(context))('without %s, and with any other type of it', (name) => {
    const { [name as 'risk']: was, ...rest } = context
    expect(set.evaluate({ ...good, context: rest as typeof context })).toEqual({
      outcome: 'error',
      policies: ['guard'],
    })
    expect(set.evaluate({ ...good, context: { ...context, [name]: null } })).toEqual({
      outcome: 'error',
      policies: ['guard'],
    })
    const kind = (value: unknown) => (Array.isArray(value) ? 'array' : typeof value)
    for (const value of others.filter((other) => kind(other) !== kind(was)))
      expect(set.evaluate({ ...good, context: { ...context, [name]: value } }), JSON.stringify(value)).toEqual({
        outcome: 'error',
        policies: ['guard'],
      })
  })

  it('without the entities that it reads', () => {
    expect(set.evaluate({ ...good, subject: { type: 'U', id: 'a' } }).outcome).toBe('error')
    expect(set.evaluate({ ...good, resource: { type: 'R', id: 'r' } }).outcome).toBe('error')
  })
})

it('gives the same answer to the same request, in every instance', () => {
  const many = (effect: string, condition = '') =>
    Array.from({ length: 30 }, (_, n) => `@id("${effect} ${n}") ${effect} (principal, action, resource)${condition};`)
  const ofAll = (texts: string[]) =>
    Array.from({ length: 5 }, () => policiesOf({ policies: texts.join('\n') }).evaluate(reading()))
  for (const texts of [many('permit'), many('forbid'), many('forbid', ' when { context.gone }')]) {
    const [first, ...others] = ofAll(texts)
    for (const other of others) expect(other).toEqual(first)
    expect(first).toMatchObject({ policies: { length: 30 } })
  }
})

it('knows the groups of actions from the schema, at any distance and in any namespace, however many policies there are (V13)', () => {
  const grouped = `action all; action some in [all]; namespace App { entity User; entity Doc;
    action near in [Action::"some"]; action far in [near]; action read in [far] appliesTo { principal: User, resource: Doc };
    action other appliesTo { principal: User, resource: Doc }; }`
  const others = Array.from({ length: 20 }, () => 'permit (principal, action == App::Action::"other", resource);')
  const permit = '@id("one") permit (principal is App::User, action, resource is App::Doc);'
  for (const group of ['Action::"all"', 'Action::"some"', 'App::Action::"near"', 'App::Action::"far"']) {
    const forbid = `@id("two") forbid (principal, action in [${group}], resource);`
    const set = policiesOf({ schema: grouped, policies: [...others, permit, forbid].join('\n') })
    expect(set.evaluate(reading()), group).toEqual({ outcome: 'deny', policies: ['two'] })
    expect(set.evaluate(reading({ action: { name: 'other' } })).outcome).toBe('allow')
  }
})

describe('search', () => {
  const policies =
    'permit (principal in App::Team::"a", action == App::Action::"read", resource); permit (principal, action == App::Action::"meet", resource) when { principal.age > resource.age };'
  const set = policiesOf({ schema, entities, policies })
  const { subject, resource, action } = reading()

  it('finds the stored that an evaluation permits', () => {
    expect(found(set, { entity: 'subject', subject: { type: 'App::User' }, action, resource })).toEqual(['anna'])
    expect(found(set, { entity: 'resource', subject, action, resource: { type: 'App::Doc' } })).toEqual(['plan'])
    expect(found(set, { entity: 'action', subject, resource })).toEqual(['read'])
    const boss = { type: 'App::User', id: 'boss' }
    expect(found(set, { entity: 'action', subject: boss, resource: subject })).toEqual(['meet'])
    expect(
      found(set, { entity: 'resource', subject: boss, action: { name: 'meet' }, resource: { type: 'App::User' } }),
    ).toEqual(['anna'])
    expect(found(set, { entity: 'subject', subject: { type: 'Nobody' }, action, resource })).toEqual([])
  })

  it('finds what a schema lists, and nothing that policies alone name', () => {
    const named = 'permit (principal in U::"team", action, resource == D::"plan");'
    const bare = policiesOf({ policies: named, entities: [{ uid: { type: 'U', id: 'eve' }, attrs: {}, parents: [] }] })
    const plan = { type: 'D', id: 'plan' }
    expect(found(bare, { entity: 'subject', subject: { type: 'U' }, action: { name: 'a' }, resource: plan })).toEqual(
      [],
    )
    const schema = `namespace N { entity U enum ["anna", "tim"]; entity Color enum ["red", "blue"]; action a appliesTo { principal: U, resource: Color }; }`
    const listed = policiesOf({
      schema,
      policies: 'permit (principal, action, resource) unless { resource == N::Color::"red" };',
    })
    const subject = { type: 'N::U', id: 'tim' }
    const resource = { type: 'N::Color' }
    expect(found(listed, { entity: 'resource', subject, action: { name: 'a' }, resource })).toEqual(['blue'])
  })
})

it('takes for an action without a schema what is one alone, however often it is named', () => {
  const policies = `permit (principal, action, resource) when { principal != App::User::"read" && action is Action };
    forbid (principal, action == App::Action::"write", resource); forbid (principal, action == App::Action::"write", resource is Doc);`
  const set = policiesOf({ policies })
  const { subject, resource } = reading()
  expect(set.candidates({ entity: 'action', subject, resource }).ids).toEqual(['write'])
  expect(set.evaluate(reading()).outcome).toBe('allow')
  expect(set.evaluate(reading({ action: { name: 'write' } })).outcome).toBe('deny')
})

describe('a slot', () => {
  const setOf = (id: string, mapping = '') =>
    loadPolicySet(
      new Map([
        ['a.cedar', Buffer.from(`@id("${id}") @redact("${id}") permit (principal, action, resource);`)],
        ['authzen.yaml', Buffer.from(mapping)],
        ['schema.cedarschema', Buffer.from(schema)],
      ]),
    )

  it('holds one set: what stood there before denies from then on (V13)', () => {
    const slot = new PolicySlot('authzen-policies.test slot')
    const answers = (...sets: AuthZenPolicies[]) => sets.map((set) => set.evaluate(reading()))
    const first = new AuthZenPolicies(setOf('one'), slot)
    expect(answers(first)).toEqual([{ outcome: 'allow', policies: ['one'] }])
    const second = new AuthZenPolicies(setOf('two'), slot)
    expect(answers(first, second)).toEqual([{ outcome: 'invalid' }, { outcome: 'allow', policies: ['two'] }])
    // A refused set does not replace the loaded one.
    expect(() => new AuthZenPolicies(setOf('three', 'types: { user: Robot }'), slot)).toThrow('Robot')
    expect(answers(first, second)).toEqual([{ outcome: 'invalid' }, { outcome: 'allow', policies: ['two'] }])
  })

  it('names what those oblige to that decided', () => {
    const set = new AuthZenPolicies(setOf('iban'), new PolicySlot('authzen-policies.test duties'))
    expect(set.dutiesOf(['iban'])).toEqual(dutiesOf(setOf('iban').policies, ['iban']))
    expect(JSON.stringify(set.dutiesOf(['iban']))).toContain('iban')
    expect(set.dutiesOf([])).toEqual(dutiesOf(setOf('iban').policies, []))
    expect(set.hash).toBe(setOf('iban').hash)
  })
})
