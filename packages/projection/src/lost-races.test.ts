import { expect, it } from 'vitest'
import { type Claim, claimOf, type Order, race, type TreeFact } from './lost-races.ts'

const say = (eventId: string, version: number, after?: string): Claim => ({ name: 'tree', eventId, version, after })

/** The events that lost their place. */
function lost(...claims: readonly Claim[]): string[] {
  let order: Order | undefined
  const facts = new Map<string, TreeFact>()
  return claims.flatMap((claim) => {
    const judged = race(claim, order, facts)
    order = judged.order
    return judged.isLost ? [claim.eventId] : []
  })
}

it('takes the first of each version, and a batch for lost with its first (V2)', () => {
  const [a1, a2] = [say('a1', 1), say('a2', 2, 'a1')]
  const [b1, b2, b3, b4] = [say('b1', 1), say('b2', 2, 'b1'), say('b3', 3, 'b2'), say('b4', 4, 'b3')]
  expect(lost(a1, b1, b2, b3, a2, b4, say('a3', 3, 'a2'))).toEqual(['b1', 'b2', 'b3', 'b4'])
  expect(lost(say('a1', 1), say('a2', 2), say('b2', 2), say('a3', 3))).toEqual(['b2'])
})

it.each([
  ['left out', [say('a1', 1), say('a3', 3, 'a2'), say('a4', 4, 'a3')]],
  ['made up far ahead', [say('a1', 1), say('x', 1000, 'a1'), say('a2', 2, 'a1'), say('a3', 3, 'a2')]],
  ['made up behind nothing', [say('a1', 1), say('x', 2, 'nobody'), say('a2', 2, 'a1'), say('a3', 3, 'a2')]],
  ['not there from the first on', [say('a7', 7, 'a6'), say('a8', 8, 'a7')]],
])('takes nothing for lost where an event is %s', (_, claims) => {
  expect(lost(...claims)).toEqual([])
})

it('asks only the services that write trees, requests and revocations', () => {
  const event = { id: 'evt_1', version: 2, partitionkey: 'grt_1', data: { after: 'evt_0' } }
  const of = (dataschema: string, more: object = {}) => claimOf({ ...event, dataschema, ...more })
  expect(of('urn:bailiwick:schema:decisions.v1:decision.allowed')).toEqual({
    ...{ name: 'decisions.v1 grt_1', eventId: 'evt_1', version: 2, after: 'evt_0', step: undefined },
  })
  expect(of('urn:bailiwick:schema:revocations.v1:revocation.declared')?.name).toBe('revocations.v1')
  expect(of('urn:bailiwick:schema:registry.v1:rule.changed')).toBe(undefined)
  expect(of('urn:bailiwick:schema:decisions.v1:decision.denied', { version: undefined })).toBe(undefined)
})

const amounts = (calls: number) => ({ calls, cost: { EUR: '1' }, egress_bytes: 0 })

/** An event of a tree of decisions, as a leaf of the log holds it. */
function decided(id: string, version: number, type: string, data: object): Claim {
  const dataschema = `urn:bailiwick:schema:decisions.v1:${type}`
  return claimOf({ id, version, type, dataschema, partitionkey: 'grt_1', data }) ?? expect.fail('no claim')
}
const allow = (id: string, version: number, n: number, more: object = {}) =>
  decided(id, version, 'decision.allowed', {
    ...{ decision_id: `dec_${n}`, call_id: `call_${n}`, reserved: amounts(1), ...more },
  })
const outcome = (id: string, version: number, n: number, calls = 0) =>
  decided(id, version, 'outcome.reported', { decision_id: `dec_${n}`, released: amounts(calls) })
/** The server answered with questions. */
const asked = (id: string, version: number, n: number) =>
  decided(id, version, 'outcome.reported', { decision_id: `dec_${n}`, released: amounts(0), status: 'continued' })
const end = (id: string, version: number, type: string, n: number) =>
  decided(id, version, type, { decision_id: `dec_${n}` })

it.each([
  ['an outcome of nothing', [], outcome('lie', 1, 7)],
  ['an outcome of an action that has one', [allow('a1', 1, 1), outcome('o1', 2, 1)], outcome('lie', 3, 1)],
  ['an outcome that gives back more than was taken', [allow('a1', 1, 1)], outcome('lie', 2, 1, 2)],
  [
    'a second end of what was taken back',
    [allow('a1', 1, 1), end('b1', 2, 'decision.abandoned', 1)],
    outcome('lie', 3, 1),
  ],
  [
    'a miss of what was missed',
    [allow('a1', 1, 1), end('m1', 2, 'outcome.missing', 1)],
    end('lie', 3, 'outcome.missing', 1),
  ],
  ['a decision that there is', [allow('a1', 1, 1)], allow('lie', 2, 1, { call_id: 'call_9' })],
  ['a call that there is', [allow('a1', 1, 1)], allow('lie', 2, 9, { call_id: 'call_1' })],
  ['a proof that was used', [allow('a1', 1, 1, { proof_id: 'p1' })], allow('lie', 2, 9, { proof_id: 'p1' })],
  [
    'a proof of an action that was taken back',
    [allow('a1', 1, 1, { proof_id: 'p1' }), end('b1', 2, 'decision.abandoned', 1)],
    allow('lie', 3, 9, { proof_id: 'p1' }),
  ],
  [
    'a further round of a call that did not end with questions',
    [allow('a1', 1, 1), outcome('o1', 2, 1)],
    allow('lie', 3, 9, { continues: { decision_id: 'dec_1' } }),
  ],
  [
    'a further round of a call that went on',
    [allow('a1', 1, 1), asked('o1', 2, 1), allow('a2', 3, 5, { continues: { decision_id: 'dec_1' } })],
    allow('lie', 4, 9, { continues: { decision_id: 'dec_1' } }),
  ],
  ['a step-up that was used', [allow('a1', 1, 1, { step_up: 'req_1' })], allow('lie', 2, 9, { step_up: 'req_1' })],
])('keeps the place of the next event from a liar with %s (V2)', (_, before, lie) => {
  const honest = [allow('honest', lie.version, 2), outcome('then', lie.version + 1, 2)]
  expect(lost(...before, lie, ...honest)).toEqual([])
  // A place that is taken stays taken.
  expect(lost(...before, lie, ...honest, allow('late', lie.version, 3))).toEqual(['late'])
})

it('lets what a tree allows take its place: a step-up that was taken back, an outcome that comes late (V2)', () => {
  const stepUp = { step_up: 'req_1' }
  const before = [allow('a1', 1, 1, stepUp), end('b1', 2, 'decision.abandoned', 1), allow('a2', 3, 2, stepUp)]
  expect(lost(...before, allow('late', 3, 4))).toEqual(['late'])
  const round = { continues: { decision_id: 'dec_1' } }
  const rounds = [allow('a1', 1, 1), asked('o1', 2, 1), allow('a2', 3, 2, round), end('b2', 4, 'decision.abandoned', 2)]
  expect(lost(...rounds, allow('a3', 5, 3, round), allow('late', 5, 4))).toEqual(['late'])
  const missed = [allow('a1', 1, 1), end('m1', 2, 'outcome.missing', 1), outcome('o1', 3, 1, 9)]
  expect(lost(...missed, allow('late', 3, 4))).toEqual(['late'])
})
