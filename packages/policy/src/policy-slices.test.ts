import fc from 'fast-check'
import { expect, it } from 'vitest'
import { askCedar } from './ask-cedar.ts'
import type { EntityName } from './entity-name.ts'
import { loadPolicySet } from './policy-set.ts'
import { PolicySlices } from './policy-slices.ts'
import { preparse } from './preparse.ts'

const types = ['U', 'V', 'W', 'N::U']
const actions = ['a', 'b', 'c', 'd']
/** `a` and `b` are in `g`, which is in `h`; `c` is in `h`. */
const groups: Record<string, string[]> = { a: ['g', 'h'], b: ['g', 'h'], c: ['h'], g: ['h'] }
const action = (id: string) => ({ type: 'Action', id })
const groupsOf = ({ id }: EntityName) => (groups[id] ?? []).map(action)
const parents: Record<string, string[]> = { a: ['g'], b: ['g'], c: ['h'], g: ['h'] }
const group = (id: string) => ({ type: 'G', id })
/** Each with the id 1 is in `g`, which is in `top`; those with another are in nothing. */
const ancestorsOf = ({ type, id }: EntityName) =>
  types.includes(type) && id === '1' ? [group('g'), group('top')] : type === 'G' && id === 'g' ? [group('top')] : []
const entities = [
  ...[...actions, 'g', 'h'].map((id) => ({ uid: action(id), attrs: {}, parents: (parents[id] ?? []).map(action) })),
  ...types.map((type) => ({ uid: { type, id: '1' }, attrs: { n: 1 }, parents: [group('g')] })),
  { uid: group('g'), attrs: {}, parents: [group('top')] },
]

const typed = (name: string) =>
  fc.oneof(
    fc.constant(name),
    fc.constantFrom(...types).map((type) => `${name} is ${type}`),
    fc.constantFrom(...types).map((type) => `${name} is ${type} in G::"g"`),
    fc.constantFrom(...types).map((type) => `${name} == ${type}::"1"`),
    fc.constantFrom(...types).map((type) => `${name} in ${type}::"1"`),
    fc.constantFrom('g', 'top', 'other').map((id) => `${name} in G::"${id}"`),
  )
const called = fc.oneof(
  fc.constant('action'),
  fc.constantFrom(...actions).map((id) => `action == Action::"${id}"`),
  fc.constantFrom(...actions, 'g', 'h').map((id) => `action in Action::"${id}"`),
  fc
    .uniqueArray(fc.constantFrom(...actions, 'g', 'h'), { minLength: 1, maxLength: 3 })
    .map((ids) => `action in [${ids.map((id) => `Action::"${id}"`).join()}]`),
)
const condition = fc.constantFrom('', ' when { principal.n == 1 }', ' when { resource.gone }', ' unless { context.x }')
const policy = fc
  .tuple(fc.constantFrom('permit', 'forbid'), typed('principal'), called, typed('resource'), condition)
  .map(([effect, principal, act, resource, when]) => `${effect} (${principal}, ${act}, ${resource})${when};`)
const name = fc.record({ type: fc.constantFrom(...types, 'Other'), id: fc.constantFrom('1', '2') })
const request = fc.record({ principal: name, action: fc.constantFrom(...actions, 'z').map(action), resource: name })
const setOf = (texts: string[]) => loadPolicySet(new Map([['a.cedar', Buffer.from(texts.join('\n'))]]))

it('answers by slices as by the whole set, however few it may keep (V13)', () => {
  let sliced = 0
  fc.assert(
    fc.property(
      fc.array(policy, { minLength: 1, maxLength: 12 }),
      fc.array(request, { minLength: 1, maxLength: 12 }),
      fc.constantFrom(0, 1, 16),
      fc.constantFrom(undefined, ancestorsOf),
      (texts, requests, sets, above) => {
        const set = setOf(texts)
        const slices = new PolicySlices(set, 'policy-slices.test', {
          ...{ groupsOf, sets },
          ...(above ? { ancestorsOf: above } : {}),
        })
        const whole = preparse(set, 'policy-slices.test whole')
        for (const { principal, action: act, resource } of [...requests, ...requests]) {
          const asked = { principal, action: act, resource, context: {}, entities }
          const names = slices.of(principal, act, resource)
          if (names.policies !== 'policy-slices.test') sliced++
          expect(askCedar(names, asked)).toEqual(askCedar(whole, asked))
        }
      },
    ),
    { numRuns: 200 },
  )
  expect(sliced).toBeGreaterThan(100)
})

it('makes no slice for each of the names that nobody knows', () => {
  const texts = [
    'permit (principal is U, action == Action::"a", resource);',
    ...Array.from({ length: 9 }, (_, n) => `permit (principal, action == Action::"p${n}", resource);`),
  ]
  const slices = new PolicySlices(setOf(texts), 'policy-slices.test names', { groupsOf: () => [] })
  const asked = Array.from(
    { length: 100 },
    (_, n) => slices.of({ type: `T${n}`, id: 'x' }, action(`z${n}`), { type: `R${n}`, id: 'x' }).policies,
  )
  expect(new Set(asked).size).toBe(1)
})

it('asks of few policies where most are about others, however many principals and resources ask in turn', () => {
  const texts = Array.from({ length: 200 }, (_, n) =>
    n % 2 === 0
      ? `permit (principal == U::"${n}", action, resource);`
      : `forbid (principal in G::"g", action, resource == V::"${n}") when { resource.gone };`,
  )
  const set = setOf(texts)
  const slices = new PolicySlices(set, 'policy-slices.test many', { groupsOf: () => [], ancestorsOf, sets: 1 })
  const whole = preparse(set, 'policy-slices.test many, whole')
  const names = new Set<string>()
  for (let n = 0; n < 400; n++) {
    const principal = { type: 'U', id: String((n * 7) % 200) }
    const resource = { type: 'V', id: String((n * 13) % 200) }
    const asked = { principal, action: action('a'), resource, context: {} }
    const found = slices.of(principal, action('a'), resource)
    names.add(found.policies)
    expect(askCedar(found, asked)).toEqual(askCedar(whole, asked))
  }
  expect(names).not.toContain('policy-slices.test many')
  // What the wasm keeps is bounded: names are given again.
  expect(names.size).toBeLessThan(200)
})
