import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
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
/** Each entity with the id 1 is in `g`, which is in `top`; all others are in nothing. */
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

/** For `principal`: what a scope may ask for, once such that U::"1" matches, and once such that it does not. */
const asking: [is: string, isNot: string][] = [
  ['principal is U', 'principal is V'],
  ['principal == U::"1"', 'principal == U::"2"'],
  ['principal == U::"1"', 'principal == V::"1"'],
  ['principal in U::"1"', 'principal in U::"2"'],
  ['principal in G::"g"', 'principal in G::"other"'],
  ['principal in G::"top"', 'principal in G::"other"'],
  ['principal is U in G::"g"', 'principal is V in G::"g"'],
  ['principal is U in G::"g"', 'principal is U in G::"other"'],
]
const scopes = (of: string) =>
  `permit (${of.startsWith('principal') ? of : 'principal'}, ${of.startsWith('action') ? of : 'action'}, ${of.startsWith('resource') ? of : 'resource'});`

it.each([
  ...asking,
  ...asking.map((both) => both.map((each) => each.replace('principal', 'resource')) as [string, string]),
  ['action == Action::"a"', 'action == Action::"b"'],
  ['action in Action::"h"', 'action in Action::"b"'],
  ['action in [Action::"g", Action::"b"]', 'action in [Action::"c", Action::"d"]'],
] as [string, string][])(
  'leaves out what its scope says it is not about, and nothing else: %s, not %s (V13)',
  (is, isNot) => {
    const one = { type: 'U', id: '1' }
    const set = setOf([scopes(is), scopes(isNot)])
    const answered = (above?: typeof ancestorsOf) => {
      const name = `policy-slices.test ${is} ${above ? 'within' : ''}`
      const slices = new PolicySlices(set, name, { groupsOf, ...(above ? { ancestorsOf: above } : {}) })
      const names = slices.of(one, action('a'), one)
      const answer = askCedar(names, { principal: one, action: action('a'), resource: one, context: {}, entities })
      expect(answer).toMatchObject({ reason: ['a.cedar#0'] })
      return names.policies === name ? 'the whole' : 'a slice'
    }
    expect(answered(ancestorsOf)).toBe('a slice')
    // Without known ancestors, only types and names can rule a policy out.
    const isAboutGroups = / in /.test(isNot) && !/^action/.test(isNot) && !isNot.includes(' is V')
    expect(answered()).toBe(isAboutGroups ? 'the whole' : 'a slice')
  },
)

it('makes no slice for each unknown name', () => {
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
  // The wasm's memory is bounded: names are reused.
  expect(names.size).toBeLessThan(200)
})

describe('what is kept of slices', () => {
  let sets = 0
  /**
   * A set of `count` policies, each about its own user. Returns the name of the slice that answers for a user's number; undefined: the
   * whole set.
   */
  function keeping(count: number, room: number) {
    const name = `policy-slices.test kept ${sets++}`
    const texts = Array.from({ length: count }, (_, n) => `permit (principal == U::"${n}", action, resource);`)
    const slices = new PolicySlices(setOf(texts), name, { groupsOf: () => [], sets: room / count })
    return (n: number) => {
      const { policies, schema } = slices.of({ type: 'U', id: String(n) }, action('a'), { type: 'R', id: 'r' })
      expect(schema).toBeUndefined()
      return policies === name ? undefined : policies.slice(name.length + 1)
    }
  }

  it('is a slice of at most half of the policies', () => {
    const [one, two, three] = [keeping(1, 16), keeping(2, 32), keeping(3, 48)]
    expect([one(0), one(9)]).toEqual([undefined, '1']) // user 9 has no policies: an empty slice
    expect([two(0), two(1), two(0)]).toEqual(['1', '2', '1'])
    expect(three(0)).toBe('1')
  })

  it('is as much as there is room for, and of it what was asked for last', () => {
    const ofFour = keeping(4, 4)
    expect([ofFour(0), ofFour(1), ofFour(0)]).toEqual(['1', '2', '1'])
    // There is no room for a third slice: the whole set answers, and that is remembered in place of the entry unused for longest.
    expect([ofFour(2), ofFour(0), ofFour(1)]).toEqual([undefined, '1', undefined])
  })

  it('makes room where a slice is small, and gives names again', () => {
    const small = keeping(64, 4)
    expect([small(0), small(1), small(0), small(2), small(0), small(1)]).toEqual(['1', '2', '1', '2', '1', '2'])
    const large = keeping(63, 4)
    expect([large(0), large(1), large(2), large(1)]).toEqual(['1', '2', undefined, '2'])
  })

  it('is nothing where there is room for none', () => {
    expect([0, 1, 9].map(keeping(64, 0))).toEqual([undefined, undefined, undefined])
    expect([0, 1].map(keeping(64, 1))).toEqual([undefined, undefined])
    expect([0, 1].map(keeping(64, 2))).toEqual(['1', '1'])
  })

  it('is by the resource alone where a policy names the principal too', () => {
    const texts = ['U::"a"', 'U::"b"', 'U::"c"'].map(
      (who, n) => `permit (principal == ${who}, action, resource == R::"${n}");`,
    )
    const slices = new PolicySlices(setOf(texts), 'policy-slices.test both', { groupsOf: () => [] })
    const by = (who: string, n: number) =>
      slices.of({ type: 'U', id: who }, action('a'), { type: 'R', id: String(n) }).policies
    expect([by('a', 0), by('b', 0), by('nobody', 0), by('a', 1)]).toEqual(
      [1, 1, 1, 2].map((n) => `policy-slices.test both ${n}`),
    )
  })
})
