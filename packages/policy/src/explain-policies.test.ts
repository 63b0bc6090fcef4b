import { expect, it } from 'vitest'
import type { PlainRequest } from './authzen-policies.ts'
import { explainPolicies } from './explain-policies.ts'
import { parsePolicySet } from './policy-set.ts'
import { readRequest } from './trial-request.ts'

const schema = `entity U { n: Long }; entity R { labels: Set<String> };
action a appliesTo { principal: U, resource: R, context: { grant: { mode: String }, price?: decimal } };`
const spaces = ['M', 'N'].map(
  (name) => `namespace ${name} { entity E; action b appliesTo { principal: E, resource: E }; }`,
)
const policies = `@id("all") permit (principal, action, resource) when { principal.n < 10 };
@id("own-word") forbid (principal, action, resource) when { resource.labels.contains("bad") && context.grant.mode != "once" };
@id("dear") forbid (principal, action, resource) when { context has price && context.price.greaterThan(decimal("9.50")) };
@id("sum") forbid (principal, action, resource) when { principal.n + 9223372036854775800 < 0 };`

function explain({ n = 1, labels = [] as string[], mode = 'window', context = {} } = {}, withSchema = true) {
  const files = { ...(withSchema ? { 'schema.cedarschema': schema } : {}), 'a.cedar': policies }
  const set = parsePolicySet(new Map(Object.entries(files).map(([name, text]) => [name, Buffer.from(text)])))
  const {
    outcome,
    policies: by,
    wouldChange,
  } = explainPolicies(set, {
    subject: { type: 'U', id: 'u', properties: { n } },
    action: { name: 'a' },
    resource: { type: 'R', id: 'r', properties: { labels } },
    context: { grant: { mode }, ...context },
  })
  return { outcome, by, change: wouldChange.map(({ attribute, policies }) => `${attribute}: ${policies}`) }
}

it('says of a denial what would have to differ: each alone', () => {
  expect(explain({ labels: ['bad'] })).toEqual({
    outcome: 'deny',
    by: ['own-word'],
    change: ['context.grant.mode: own-word', 'resource.labels: own-word'],
  })
})

it('says nothing of what changes nothing alone: two stand in the way', () => {
  expect(explain({ labels: ['bad'], context: { price: '9.51' } })).toMatchObject({ outcome: 'deny', change: [] })
})

it('says it of an allow too, a value that would err included', () => {
  const { outcome, change } = explain({ context: { price: '1.00' } })
  expect(outcome).toBe('allow')
  expect(change).toEqual(['context.price: dear', 'subject.n: all,sum', 'resource.labels: own-word'])
})

it('explains a long policy too, though not which attribute of it could change that', () => {
  const long = `@id("long") permit (principal, action, resource) when { ${Array(100).fill('principal.n == 7').join(' || ')} };`
  const guard = '@id("guard") forbid (principal, action, resource) when { context.grant.mode == "m" };'
  const set = parsePolicySet(new Map([['a.cedar', Buffer.from(long + guard)]]))
  const {
    outcome,
    policies: by,
    wouldChange,
  } = explainPolicies(set, {
    subject: { type: 'U', id: 'u', properties: { n: 7 } },
    action: { name: 'a' },
    resource: { type: 'R', id: 'r' },
    context: { grant: { mode: 'm' } },
  })
  expect([outcome, by]).toEqual(['deny', ['guard']])
  expect(wouldChange.map(({ attribute }) => attribute)).toEqual(['context.grant.mode'])
})

it.each(['1.0', '1e0', '0.99999999999999999999', '-0.0'])(
  'reads a request as the decision point reads it: %s is no integer',
  (n) => {
    const set = parsePolicySet(new Map([['a.cedar', Buffer.from('permit (principal, action, resource);')]]))
    const text = (value: string) =>
      `{"subject":{"type":"U","id":"u","properties":{"n":${value}}},"action":{"name":"a"},"resource":{"type":"R","id":"r"}}`
    const outcome = (value: string) => explainPolicies(set, readRequest(text(value)) as PlainRequest).outcome
    expect([outcome('1'), outcome('-0'), outcome('9223372036854775807')]).toEqual(['allow', 'allow', 'allow'])
    expect(outcome(n)).toBe('invalid')
  },
)

it('says which policy errs', () => {
  expect(explain({ n: 9 })).toEqual({ outcome: 'error', by: ['sum'], change: ['subject.n: all,sum'] })
})

it('says it without a schema as with one', () => {
  expect(explain({ labels: ['bad'] }, false)).toEqual(explain({ labels: ['bad'] }))
})

it('has nothing to say of a request that does not fit', () => {
  expect(explain({ context: { grant: {} } })).toEqual({ outcome: 'invalid', by: [], change: [] })
})

it.each([
  ['what another attribute keeps false', 'permit (principal, action, resource) when { CHANGED && FALSE };', []],
  ['the same, said the other way', 'permit (principal, action, resource) unless { CHANGED || TRUE };', []],
  ['either way', 'permit (principal, action, resource) when { if CHANGED then FALSE else FALSE };', []],
  [
    'what forbids all the same',
    'permit (principal, action, resource); forbid (principal, action, resource) when { CHANGED || TRUE };',
    [],
  ],
  ['one way', 'permit (principal, action, resource) when { if CHANGED then TRUE else FALSE };', ['subject.n']],
  [
    'what nothing else keeps',
    'permit (principal, action, resource) when { !(CHANGED && FALSE) && CHANGED };',
    ['subject.n'],
  ],
])('names no attribute that cannot change it alone, and each that can (V13): %s', (_, text, change) => {
  const spelled = text
    .replaceAll('CHANGED', 'principal.n == 7')
    .replaceAll('FALSE', 'resource.labels.contains("bad")')
    .replaceAll('TRUE', '!resource.labels.contains("bad")')
  const set = parsePolicySet(
    new Map([
      ['schema.cedarschema', Buffer.from(schema)],
      ['a.cedar', Buffer.from(spelled)],
    ]),
  )
  const { outcome, wouldChange } = explainPolicies(set, {
    subject: { type: 'U', id: 'u', properties: { n: 1 } },
    action: { name: 'a' },
    resource: { type: 'R', id: 'r', properties: { labels: [] } },
    context: { grant: { mode: 'm' } },
  })
  expect(outcome).toBe('deny')
  expect(wouldChange.map(({ attribute }) => attribute).filter((name) => name !== 'resource.labels')).toEqual(change)
})

it.each<[says: string, more: Partial<PlainRequest>]>([
  ['context.grant.mode: no String', { context: { grant: { mode: 5 } } }],
  ['context.price: no decimal', { context: { grant: { mode: 'm' }, price: 9.5 } }],
  ['subject.properties.n: no Long', { subject: { type: 'U', id: 'u', properties: { n: '1' } } }],
  [
    'resource.properties.labels.1: no String',
    { resource: { type: 'R', id: 'r', properties: { labels: ['a', null] } } },
  ],
  ['context.grant: no Record', { context: { grant: [] } }],
  ['action.name: several actions have this id', { action: { name: 'b' } }],
  [
    'subject.properties.n: not what the resource, the same entity, has',
    {
      subject: { type: 'U', id: 'u', properties: { n: 1 } },
      resource: { type: 'U', id: 'u', properties: { n: 2 } },
    },
  ],
])('says what of a request does not fit: %s', (says, more) => {
  const files = { 'schema.cedarschema': [schema, ...spaces].join('\n'), 'a.cedar': policies }
  const set = parsePolicySet(new Map(Object.entries(files).map(([name, text]) => [name, Buffer.from(text)])))
  const { outcome, messages } = explainPolicies(set, {
    subject: { type: 'U', id: 'u' },
    action: { name: 'a' },
    resource: { type: 'R', id: 'r' },
    ...more,
  })
  expect([outcome, messages]).toEqual(['invalid', [says]])
})
