import { testClock } from '@bailiwick/kit'
import { AuthZenPolicies, PolicySlot, parsePolicySet } from '@bailiwick/policy'
import { expect, it } from 'vitest'
import { mostEvaluations, mostSearches, plainDecider } from './plain-decider.ts'

const count = 300
const setOf = (policy: string, slot: string, docs = count): AuthZenPolicies => {
  const uids = Array.from({ length: docs }, (_, n) => ({ type: 'Doc', id: `d${n}` }))
  const entities = uids.map((uid) => ({ uid, attrs: {}, parents: [] }))
  const files = { 'a.cedar': policy, 'entities.json': JSON.stringify(entities) }
  const set = parsePolicySet(new Map(Object.entries(files).map(([name, text]) => [name, Buffer.from(text)])))
  return new AuthZenPolicies(set, new PolicySlot(`plain-decider.test ${slot}`))
}
const all = setOf('permit (principal, action, resource);', 'all')
const one = setOf('permit (principal, action, resource == Doc::"d7");', 'one')

const clock = testClock()
const deciderOf = (current: () => AuthZenPolicies) =>
  plainDecider({ current, hold: () => ({ policies: current(), release: () => undefined }) }, undefined, clock)
const subject = { type: 'User', id: 'anna' }
const action = { name: 'read' }
const search = { entity: 'resource', subject, action, resource: { type: 'Doc' } } as const
const caller = { authorization: undefined, confidential: true, address: '192.0.2.1' }

it('hears others while it searches among many (V18)', async () => {
  const session = deciderOf(() => all).admit(caller)
  const order: string[] = []
  const searching = session.search(search).then(({ ids }) => order.push(`found ${ids.length}`))
  await new Promise(setImmediate)
  const evaluating = session.evaluate({ subject, action, resource: { type: 'Doc', id: 'd1' } })
  await Promise.all([searching, evaluating.then(({ decision }) => order.push(`decided ${decision}`))])
  expect(order).toEqual(['decided true', `found ${count}`])
})

it('has one search of each caller under way and a bounded queue of them, and tells who asks for more so (V18)', async () => {
  const few = setOf('permit (principal, action, resource);', 'few', 33) // no search ends before others had a turn
  const decider = deciderOf(() => few)
  const session = decider.admit(caller)
  const full = expect.objectContaining({ code: 'queue_full' })
  let found = 0
  const flood = Array.from({ length: 2 * mostSearches.maxPerKey }, () =>
    session.search(search).then(
      () => ++found,
      (refused) => refused,
    ),
  )
  await expect(session.search(search)).rejects.toEqual(full)
  // Evaluations of this caller, and requests from other addresses, do not wait behind that search.
  const asked = { subject, action, resource: { type: 'Doc', id: 'd1' } }
  expect((await session.evaluate(asked)).decision).toBe(true)
  expect((await decider.admit({ ...caller, address: '192.0.2.2' }).search(search)).ids).toHaveLength(33)
  expect(found).toBeLessThan(mostSearches.maxPerKey)
  const refused = (await Promise.all(flood)).filter((each) => typeof each !== 'number')
  expect(refused).toEqual(Array.from({ length: mostSearches.maxPerKey }, () => full))
  expect((await session.search(search)).ids).toHaveLength(33)
})

it('answers a search by one set, the one that is active at its end (V13)', async () => {
  let active = all
  const session = deciderOf(() => active).admit(caller)
  const searching = session.search(search)
  await new Promise(setImmediate)
  active = one
  expect(await searching).toEqual({ ids: ['d7'], context: { policy_set: one.hash } })
})

it('finds what an evaluation permits and nothing else, obligations included', async () => {
  const obliging = setOf('@id("p") @redact("secret") permit (principal, action, resource == Doc::"d3");', 'obliging')
  const session = deciderOf(() => obliging).admit(caller)
  const able = { supported_obligations: ['custom'] }
  for (const context of [{}, { supported_obligations: [] }, able]) {
    const { decision } = await session.evaluate({ subject, action, resource: { type: 'Doc', id: 'd3' }, context })
    expect((await session.search({ ...search, context })).ids).toEqual(decision ? ['d3'] : [])
  }
})

it('remembers of decisions alone: a search leaves them what they have (V18)', async () => {
  const asked = { subject, action, resource: { type: 'Doc', id: 'd7' } }
  const policies = setOf('permit (principal, action, resource == Doc::"d7");', 'remembering')
  const purposes: unknown[] = []
  const counting = new Proxy(policies, {
    get: (of, name) =>
      name === 'evaluate'
        ? (...args: Parameters<typeof of.evaluate>) => {
            purposes.push(args[1] ?? 'decision')
            return of.evaluate(...args)
          }
        : ((member) => (typeof member === 'function' ? member.bind(of) : member))(Reflect.get(of, name, of)),
  })
  const session = deciderOf(() => counting).admit(caller)
  await session.search(search)
  await session.evaluate(asked)
  expect(purposes).toEqual([...Array.from({ length: count }, () => 'search'), 'decision'])
})

/** Makes each evaluation take this long. */
const slow = (policies: AuthZenPolicies, ms: number) =>
  new Proxy(policies, {
    get: (of, name) =>
      name === 'evaluate'
        ? (...args: Parameters<typeof of.evaluate>) => {
            clock.advance(ms)
            return of.evaluate(...args)
          }
        : ((member) => (typeof member === 'function' ? member.bind(of) : member))(Reflect.get(of, name, of)),
  })

it('hears others between the slow evaluations of a boxcar, and between the slow candidates of a search (V18)', async () => {
  const few = slow(setOf('permit (principal, action, resource);', 'slow', 9), 20)
  const decider = deciderOf(() => few)
  const asked = { subject, action, resource: { type: 'Doc', id: 'd1' } }
  const boxcar = decider.admit(caller)
  const order: string[] = []
  const items = Array.from({ length: 9 }, () => boxcar.evaluate(asked).then(() => order.push('item')))
  const searching = decider
    .admit(caller)
    .search(search)
    .then(({ ids }) => order.push(`found ${ids.length}`))
  await new Promise(setImmediate)
  const other = decider.admit(caller).evaluate(asked)
  await Promise.all([...items, searching, other.then(() => order.push('other'))])
  expect(order).toHaveLength(11)
  expect(order.indexOf('other')).toBeLessThan(8)
  expect(order.indexOf('found 9')).toBeGreaterThan(order.indexOf('other'))
})

it('takes a bounded number of requests of one address, tells who asks for more so, and others have their turn beside (V18)', async () => {
  const { maxPerKey } = mostEvaluations
  const busy = slow(setOf('permit (principal, action, resource);', 'busy', 1), 20)
  const decider = deciderOf(() => busy)
  const asked = { subject, action, resource: { type: 'Doc', id: 'd0' } }
  const order: string[] = []
  const flood = Array.from({ length: maxPerKey + 9 }, () =>
    decider
      .admit(caller)
      .evaluate(asked)
      .then(({ decision }) => order.push(`flood ${decision}`))
      .catch((refused) => order.push(refused.code)),
  )
  const other = decider.admit({ ...caller, address: '192.0.2.2' }).evaluate(asked)
  await other.then(({ decision }) => order.push(`other ${decision}`))
  // Each address gets one turn at a time, however many requests it has waiting: first the flooding address, then the other.
  expect(order.filter((each) => each === 'flood true').length).toBeLessThan(5)
  await Promise.all(flood)
  expect(order.filter((each) => each === 'queue_full')).toHaveLength(9)
  expect(order.filter((each) => each === 'flood true')).toHaveLength(maxPerKey)
  expect((await decider.admit(caller).evaluate(asked)).decision).toBe(true)
})

it('counts a boxcar as one request, however many evaluations it has', async () => {
  const decider = deciderOf(() => all)
  const { evaluate } = decider.admit(caller)
  const asked = { subject, action, resource: { type: 'Doc', id: 'd1' } }
  const boxcar = Array.from({ length: 2 * mostEvaluations.maxPerKey }, () => evaluate(asked))
  expect(new Set((await Promise.all(boxcar)).map(({ decision }) => decision))).toEqual(new Set([true]))
})

it('answers a short request at once, however long it took to arrive (V18)', async () => {
  const { evaluate } = deciderOf(() => all).admit(caller)
  clock.advance(1000)
  let decided = false
  void evaluate({ subject, action, resource: { type: 'Doc', id: 'd1' } }).then(() => {
    decided = true
  })
  // No other task runs between these, so a decision that waits for other tasks would not be over by then.
  for (let n = 0; n < 100; n++) await undefined
  expect(decided).toBe(true)
})
