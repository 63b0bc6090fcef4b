import type { Grant } from '@bailiwick/contracts'
import { exampleEvent } from '@bailiwick/contracts/examples'
import { jcsHash } from '@bailiwick/credentials'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { anEvent, at, idOf, noon } from './events.fixture.ts'
import { type GrantStateName, grantTransitions } from './grant-life.ts'
import { GrantState } from './grant-state.ts'

const id = idOf('grt', 'one')
const { grant: example } = exampleEvent('grants.v1', 'grant.created').data as { grant: Grant }
const grant: Grant = { ...example, id }
type Type = keyof (typeof grantTransitions)['absent']
const types = Object.keys(grantTransitions.absent) as Type[]
const states = Object.keys(grantTransitions) as GrantStateName[]
const wholes = types.filter((type) => type.startsWith('grant.'))

/** Every allowed transition, written down a second time. Anything not listed is refused. */
const mayHappen: Record<GrantStateName, Partial<Record<Type, GrantStateName>>> = {
  absent: { 'grant.created': 'active' },
  active: {
    'grant.completed': 'completed',
    'grant.expired': 'expired',
    'grant.suspended': 'suspended',
    'grant.rebound': 'active',
    'delegation.redeemed': 'active',
    'credential.intended': 'active',
    'credential.issued': 'active',
  },
  suspended: {
    'grant.completed': 'completed',
    'grant.expired': 'expired',
    'grant.resumed': 'active',
    'credential.issued': 'suspended',
  },
  completed: { 'credential.issued': 'completed' },
  expired: { 'credential.issued': 'expired' },
}
const pathTo: Record<GrantStateName, Type[]> = {
  absent: [],
  active: ['grant.created', 'credential.intended'],
  suspended: ['grant.created', 'credential.intended', 'grant.suspended'],
  completed: ['grant.created', 'credential.intended', 'grant.completed'],
  expired: ['grant.created', 'credential.intended', 'grant.expired'],
}

/** The intent on the way to each state is for credential `one`. Other attempts use `two`, except that `one` is the credential issued. */
function event(type: Type, version: number, credential = type === 'credential.issued' ? 'one' : 'two', about = id) {
  const data = type.startsWith('grant.')
    ? { grant }
    : { credential_id: idOf('crd', credential), delegation_id: idOf('dlg', credential) }
  return anEvent('grants.v1', type, { about, version, data })
}

function inState(name: GrantStateName, base = false): GrantState {
  const grants = new GrantState({ base })
  pathTo[name].forEach((type, n) => {
    expect(grants.apply(event(type, n + 1, 'one'))).toBe('counts')
  })
  return grants
}

describe.each([[false], [true]])('with base %s', (base) => {
  it.each(states.flatMap((from) => types.map((type) => [from, type] as const)))('%s × %s', (from, type) => {
    const grants = inState(from, base)
    const before = structuredClone(grants.trees)
    const to = mayHappen[from][type]
    expect(grantTransitions[from][type]).toBe(to ?? 'refused')
    expect(grants.apply(event(type, pathTo[from].length + 1))).toBe(to ? 'counts' : 'void')
    expect(grants.trees.get(id)?.state ?? 'absent').toBe(to ?? from)
    if (!to) expect(grants.trees).toEqual(before)
  })

  // For a reader that starts inside a topic, `absent` is not a state: any version may be its base.
  it.each(states.filter((name) => !base || name !== 'absent'))(
    'in %s no other version than the next counts',
    (from) => {
      const grants = inState(from, base)
      const before = structuredClone(grants.trees)
      const next = pathTo[from].length + 1
      for (const type of types)
        for (const version of [next - 1, next + 1, next + 7]) expect(grants.apply(event(type, version))).toBe('void')
      expect(grants.trees).toEqual(before)
    },
  )
})

it.each(types)('a reader that starts inside begins a tree only with the whole grant: %s', (type) => {
  const expected = { 'grant.completed': 'completed', 'grant.expired': 'expired', 'grant.suspended': 'suspended' }
  const alive = { 'grant.resumed': 'active', 'grant.rebound': 'active' }
  const to: string | undefined = { ...expected, ...alive }[type as never]
  const grants = new GrantState({ base: true })
  expect(grants.apply(event(type, 5))).toBe(to ? 'counts' : 'void')
  expect(grants.trees.get(id)?.state).toBe(to)
  expect(new GrantState({ base: false }).apply(event(type, 5))).toBe('void')
  for (const base of [true, false])
    if (type !== 'grant.created') expect(new GrantState({ base }).apply(event(type, 1))).toBe('void')
})

it('a tree holds its own grant and no other', () => {
  const grants = new GrantState({ base: true })
  for (const type of wholes) expect(grants.apply(event(type, 1, 'one', idOf('grt', 'other')))).toBe('void')
  const active = inState('active')
  const foreign = { ...grant, id: idOf('grt', 'other') }
  expect(active.apply(anEvent('grants.v1', 'grant.rebound', { about: id, version: 3, data: { grant: foreign } }))).toBe(
    'void',
  )
  expect(active.trees.get(id)?.grant).toEqual(grant)
})

it('changes nothing of a grant but who holds it, and that in a move alone (V3)', () => {
  const moved = { ...grant, agent: `${grant.agent}2`, instance_key: 'B'.repeat(43) }
  const apply = (grants: GrantState, type: Type, data: object) =>
    grants.apply(anEvent('grants.v1', type, { about: id, version: (grants.trees.get(id)?.version ?? 0) + 1, data }))
  const lies: Partial<Grant>[] = [
    { mode: 'window' },
    { mode: 'per_action' },
    { as_of: grant.as_of + 1 },
    { not_after: at(24 * 3_600_000) },
    { authority: { ...grant.authority, budget: {} } },
    { assertions: [] },
    { statement: { ...grant.statement, mode: 'window', rebind: 'attested', nonce: 'another' } },
    { request_id: idOf('req', 'another') },
  ]
  for (const type of wholes.filter((each) => each !== 'grant.created')) {
    const grants = inState(type === 'grant.resumed' ? 'suspended' : 'active')
    const before = structuredClone(grants.trees)
    const { grant: held } = grants.trees.get(id) ?? {}
    for (const lie of lies.map((each) => ({ ...grant, ...each })).filter((each) => jcsHash(each) !== jcsHash(grant))) {
      expect([type, apply(grants, type, { grant: lie })]).toEqual([type, 'void'])
      expect([
        type,
        apply(grants, type, { grant: { ...lie, agent: moved.agent, instance_key: moved.instance_key } }),
      ]).toEqual([type, 'void'])
    }
    if (type !== 'grant.rebound') expect(apply(grants, type, { grant: moved })).toBe('void')
    expect(grants.trees).toEqual(before)
    expect(apply(grants, type, { grant: type === 'grant.rebound' ? moved : { ...grant } })).toBe('counts')
    // A caller that keeps the grant object can tell from the object alone that the grant moved.
    expect(grants.trees.get(id)?.grant === held).toBe(type !== 'grant.rebound')
  }
})

it('a credential is intended once and issued once, and never issued without an intent (V4)', () => {
  const grants = inState('active')
  expect(grants.apply(event('credential.intended', 3, 'one'))).toBe('void')
  expect(grants.apply(event('credential.issued', 3, 'two'))).toBe('void')
  expect(grants.apply(event('credential.issued', 3, 'one'))).toBe('counts')
  expect(grants.apply(event('credential.issued', 4, 'one'))).toBe('void')
  expect(grants.apply(event('delegation.redeemed', 4, 'one'))).toBe('counts')
  expect(grants.apply(event('delegation.redeemed', 5, 'one'))).toBe('void')
  expect(grants.trees.get(id)?.version).toBe(4)
})

it('an ended tree stays ended under every later event (V7)', () => {
  const step = fc.record({ type: fc.constantFrom(...types), ahead: fc.integer({ min: -3, max: 3 }) })
  fc.assert(
    fc.property(fc.constantFrom('completed' as const, 'expired' as const), fc.array(step), (ended, steps) => {
      const grants = inState(ended, true)
      for (const { type, ahead } of steps) {
        grants.apply(event(type, Math.max(1, (grants.trees.get(id)?.version ?? 0) + ahead)))
        expect(grants.trees.get(id)?.state).toBe(ended)
      }
    }),
  )
})

it('remembers refusals of what does not exist, and changes nothing for what does', () => {
  const grants = inState('active')
  const refusal = (about: string) => anEvent('grants.v1', 'credential.refused', { about })
  expect(grants.apply(refusal(id))).toBe('counts')
  expect(grants.apply(refusal(idOf('grt', 'other')))).toBe('counts')
  expect([...grants.refused.keys()]).toEqual([idOf('grt', 'other')])
  expect(grants.trees.get(id)?.version).toBe(2)
})

it('forgets a refusal once nothing that was refused with it could still live', () => {
  const grants = new GrantState({ base: false })
  const about = idOf('grt', 'refused')
  const longestLifeMs = 8 * 3600 * 1000
  grants.apply(anEvent('grants.v1', 'credential.refused', { about, time: at(0) }))
  grants.forgetEndedBefore(noon + longestLifeMs)
  expect(grants.refused.has(about)).toBe(true)
  grants.forgetEndedBefore(noon + longestLifeMs + 1)
  expect(grants.refused.has(about)).toBe(false)
})

it('finds a tree by its request, also when another of the same request was forgotten', () => {
  const grants = new GrantState({ base: false })
  const create = (name: string, not_after: string) => {
    const about = idOf('grt', name)
    const made = { ...grant, id: about, not_after }
    expect(grants.apply(anEvent('grants.v1', 'grant.created', { about, version: 1, data: { grant: made } }))).toBe(
      'counts',
    )
  }
  create('old', '2026-07-01T10:00:00.000Z')
  create('new', '2026-07-01T18:00:00.000Z')
  grants.forgetEndedBefore(Date.parse('2026-07-01T12:00:00.000Z'))
  expect([...grants.trees.keys()]).toEqual([idOf('grt', 'new')])
  expect(grants.byRequest(grant.request_id)?.id).toBe(idOf('grt', 'new'))
  grants.forgetEndedBefore(Date.parse('2026-07-01T18:00:00.001Z'))
  expect(grants.byRequest(grant.request_id)).toBeUndefined()
})

it('there is an end to what readers keep of one tree: credentials that are over, and more than anybody needs (V18)', () => {
  const grants = new GrantState({ base: true })
  grants.apply(event('grant.created', 1))
  let version = 1
  const intend = (n: number, seconds: number) => {
    const times = { issued_at: at(seconds * 1000), expires_at: at(seconds * 1000 + 300_000) }
    const data = { credential_id: idOf('crd', `c${n}`), ...times }
    return grants.apply(anEvent('grants.v1', 'credential.intended', { about: id, version: ++version, data }))
  }
  const kept = () => grants.trees.get(id)?.credentials
  for (let n = 0; n < 20; n++) expect(intend(n, n)).toBe('counts')
  expect(kept()?.size).toBe(20)
  expect(intend(20, 301)).toBe('counts')
  expect([...(kept()?.keys() ?? [])].slice(0, 2)).toEqual([idOf('crd', 'c1'), idOf('crd', 'c2')])
  for (let n = 21; n < 10_100; n++) intend(n, 302)
  expect(kept()?.size).toBe(10_000)
  expect(kept()?.has(idOf('crd', 'c10099'))).toBe(true)
})
