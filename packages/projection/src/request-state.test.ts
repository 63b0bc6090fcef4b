import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { anEvent, at, idOf, noon } from './events.fixture.ts'
import { type RequestStateName, requestTransitions } from './request-life.ts'
import { RequestState } from './request-state.ts'

const id = idOf('req', 'one')
type Type = keyof (typeof requestTransitions)['absent']
const types = Object.keys(requestTransitions.absent) as Type[]
const states = Object.keys(requestTransitions) as RequestStateName[]

/** Every allowed transition, written down a second time. Anything not listed is refused. */
const mayHappen: Partial<Record<RequestStateName, Partial<Record<Type, RequestStateName>>>> = {
  absent: { 'request.received': 'pending' },
  pending: {
    'request.endorsed': 'pending',
    'request.approved': 'approved',
    'request.denied': 'denied',
    'request.expired': 'expired',
    'request.cancelled': 'cancelled',
    'request.withdrawn': 'withdrawn',
  },
  approved: {
    'request.received': 'pending',
    'request.endorsed': 'approved',
    'request.cancelled': 'cancelled',
    'request.withdrawn': 'withdrawn',
    'request.reviewed': 'approved',
  },
  cancelled: { 'request.reviewed': 'cancelled' },
  withdrawn: { 'request.reviewed': 'withdrawn' },
}
const pathTo: Record<RequestStateName, Type[]> = {
  absent: [],
  pending: ['request.received'],
  approved: ['request.received', 'request.approved'],
  denied: ['request.received', 'request.denied'],
  expired: ['request.received', 'request.expired'],
  cancelled: ['request.received', 'request.approved', 'request.cancelled'],
  withdrawn: ['request.received', 'request.approved', 'request.withdrawn'],
}

/** Only an emergency can be reviewed, so all of these are. */
const emergency = { attestation: { kind: 'emergency' as const, attested_at: at(0) } }

const joined: object = { attestation: { kind: 'join_token', attested_at: at(0) } }

const event = (type: Type, version: number, more: Parameters<typeof anEvent<'approvals.v1', Type>>[2] = {}) =>
  anEvent('approvals.v1', type, {
    about: id,
    version,
    ...more,
    data: {
      request_id: id,
      ...(type === 'request.received' ? emergency : {}),
      ...(type === 'request.received' && version > 1 ? { reopened: 'policy_changed' } : {}),
      ...more.data,
    },
  })

function inState(name: RequestStateName, base = false): RequestState {
  const state = new RequestState({ base })
  pathTo[name].forEach((type, n) => {
    expect(state.apply(event(type, n + 1))).toBe('counts')
  })
  return state
}
const stateOf = (requests: RequestState) => requests.requests.get(id)?.state ?? 'absent'

it('reviews an emergency that was approved, once, and nothing else', () => {
  const ordinary = new RequestState({ base: false })
  ordinary.apply(event('request.received', 1, { data: joined }))
  ordinary.apply(event('request.approved', 2))
  expect(ordinary.apply(event('request.reviewed', 3))).toBe('void')
  const unapproved = inState('pending')
  unapproved.apply(event('request.withdrawn', 2))
  expect(unapproved.apply(event('request.reviewed', 3))).toBe('void')
  const approved = inState('approved')
  approved.forgetClosedBefore(Number.POSITIVE_INFINITY)
  expect(approved.apply(event('request.reviewed', 3, { data: { by: 'carl' } as object }))).toBe('counts')
  expect(approved.requests.get(id)?.reviewedBy).toBe('carl')
  expect(approved.apply(event('request.reviewed', 4))).toBe('void')
  // Opened again, it is another emergency: the review was of the one before.
  approved.apply(event('request.received', 4))
  approved.apply(event('request.approved', 5))
  expect(approved.requests.get(id)?.reviewedBy).toBeUndefined()
  expect(approved.apply(event('request.reviewed', 6))).toBe('counts')
  approved.forgetClosedBefore(Number.POSITIVE_INFINITY)
  expect(approved.requests.size).toBe(0)
})

describe.each([[false], [true]])('with base %s', (base) => {
  it.each(states.flatMap((from) => types.map((type) => [from, type] as const)))('%s × %s', (from, type) => {
    const requests = inState(from, base)
    const before = structuredClone(requests.requests)
    const next = pathTo[from].length + 1
    const to = mayHappen[from]?.[type]
    expect(requestTransitions[from][type]).toBe(to ?? 'refused')
    expect(requests.apply(event(type, next))).toBe(to ? 'counts' : 'void')
    expect(stateOf(requests)).toBe(to ?? from)
    if (!to) expect(requests.requests).toEqual(before)
  })

  // For a reader that starts inside a topic, `absent` is not a state: any version may be its base.
  it.each(states.filter((name) => !base || name !== 'absent'))(
    'in %s no other version than the next counts',
    (from) => {
      const requests = inState(from, base)
      const before = structuredClone(requests.requests)
      const next = pathTo[from].length + 1
      for (const type of types)
        for (const version of [next - 1, next + 1, next + 7]) expect(requests.apply(event(type, version))).toBe('void')
      expect(requests.requests).toEqual(before)
    },
  )

  it('never begins with an answer: version 1 is the receipt, and nothing else (V10)', () => {
    for (const type of types.filter((type) => type !== 'request.received')) {
      const requests = new RequestState({ base })
      expect(requests.apply(event(type, 1))).toBe('void')
      expect(requests.requests.size).toBe(0)
    }
  })

  it('is received again only as something that was reopened, and what was signed before is gone (V3)', () => {
    const requests = inState('approved', base)
    const version = requests.requests.get(id)?.version ?? 0
    const plain = anEvent('approvals.v1', 'request.received', {
      about: id,
      version: version + 1,
      data: { request_id: id },
    })
    expect(requests.apply(plain)).toBe('void')
    expect(requests.apply(event('request.received', version + 1))).toBe('counts')
    expect(requests.requests.get(id)).toMatchObject({ state: 'pending', endorsements: [] })
    expect(requests.requests.get(id)).not.toHaveProperty('approved')
  })

  it("does not let a request's events stand under another key, where others would read them in another order", () => {
    const requests = inState('pending', base)
    expect(requests.apply(event('request.approved', 2, { partitionkey: 'elsewhere' }))).toBe('void')
    expect(requests.apply(event('request.approved', 2, { subject: 'somebody else' }))).toBe('void')
    expect(stateOf(requests)).toBe('pending')
    const offer = anEvent('approvals.v1', 'enrolment.offered', { about: 'elsewhere', version: 1 })
    expect(requests.apply(offer)).toBe('void')
  })
})

it.each<[Type, RequestStateName]>([
  ['request.received', 'pending'],
  ['request.endorsed', 'pending'],
  ['request.approved', 'approved'],
  ['request.denied', 'denied'],
  ['request.expired', 'expired'],
  ['request.cancelled', 'cancelled'],
  ['request.withdrawn', 'withdrawn'],
])('a reader that starts inside takes %s as %s; one that starts at the beginning takes nothing', (type, expected) => {
  const inside = new RequestState({ base: true })
  expect(inside.apply(event(type, 4))).toBe('counts')
  expect(stateOf(inside)).toBe(expected)
  const whole = new RequestState({ base: false })
  expect(whole.apply(event(type, 4))).toBe('void')
})

it('an enrolment is offered once (V10)', () => {
  const requests = new RequestState({ base: true })
  const enrolment = idOf('enr', 'fiona')
  const offer = (version: number, name: string) =>
    anEvent('approvals.v1', 'enrolment.offered', {
      about: enrolment,
      version,
      data: { enrolment_id: enrolment, name },
    })
  expect(requests.apply(offer(2, 'Mallory'))).toBe('void')
  expect(requests.apply(offer(1, 'Fiona'))).toBe('counts')
  expect(requests.apply(offer(1, 'Mallory'))).toBe('void')
  expect(requests.enrolments.get(enrolment)?.name).toBe('Fiona')
})

it('is approved at most once, and never again after it was closed, for any events in any order (V10)', () => {
  const step = fc.record({ type: fc.constantFrom(...types), version: fc.integer({ min: 1, max: 7 }) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const requests = new RequestState({ base: false })
      const counted = steps.filter(({ type, version }) => requests.apply(event(type, version)) === 'counts')
      expect(counted.map(({ version }) => version)).toEqual(counted.map((_, n) => n + 1))
      const approvals = counted.filter(({ type }) => type === 'request.approved')
      expect(approvals.length).toBeLessThanOrEqual(1)
      // The review of an emergency comes after its end.
      const lived = counted.filter(({ type }) => type !== 'request.reviewed')
      const closing = lived.findIndex(({ type }) => /denied|expired|cancelled|withdrawn/.test(type))
      if (closing >= 0) expect(closing).toBe(lived.length - 1)
    }),
  )
})

it('remembers an approval while its grant may live, else a second one would count as a beginning (V10)', () => {
  const requests = inState('approved')
  const record = requests.requests.get(id)
  const statement = record?.approved?.statement
  const until = statement?.kind === 'approval' ? Date.parse(statement.not_after) : 0
  expect(until).toBeGreaterThan(record?.changedAt ?? Number.POSITIVE_INFINITY)
  requests.forgetClosedBefore(until)
  expect(requests.requests.size).toBe(1)
  requests.forgetClosedBefore(until + 1)
  expect(requests.requests.size).toBe(1) // an emergency that was not reviewed
  expect(requests.apply(event('request.reviewed', 3))).toBe('counts')
  requests.forgetClosedBefore(until + 1)
  expect(requests.requests.size).toBe(0)
})

it('forgets what is closed and old, and nothing that waits for an answer', () => {
  const closed = inState('pending')
  closed.apply(event('request.denied', 2, { time: at(0) }))
  closed.forgetClosedBefore(noon)
  expect(closed.requests.size).toBe(1)
  closed.forgetClosedBefore(noon + 1)
  expect(closed.requests.size).toBe(0)
  const pending = inState('pending')
  pending.forgetClosedBefore(Number.MAX_SAFE_INTEGER)
  expect(pending.requests.size).toBe(1)
})

it('finds the parts of a task in their order, and a whole ask by its own id', () => {
  const requests = new RequestState({ base: false })
  const task = idOf('req', 'task')
  const part = (index: number, version = 1, type: Type = 'request.received') => {
    const request_id = idOf('req', `part${index}`)
    const item = { task, index, count: 2 }
    const data = { request_id, ...(type === 'request.received' ? { item } : {}) }
    return anEvent('approvals.v1', type, { about: request_id, version, data })
  }
  const ids = (of: string) => requests.ofTask(of).map((record) => record.id)
  expect(ids(task)).toEqual([])
  for (const each of [part(1), part(0)]) expect(requests.apply(each)).toBe('counts')
  expect(ids(task)).toEqual([idOf('req', 'part0'), idOf('req', 'part1')])
  expect(ids(idOf('req', 'part0'))).toEqual([])
  requests.apply(event('request.received', 1))
  expect(ids(id)).toEqual([id])
  requests.apply(part(0, 2, 'request.denied'))
  requests.forgetClosedBefore(Number.POSITIVE_INFINITY)
  expect(ids(task)).toEqual([idOf('req', 'part1')])
})
