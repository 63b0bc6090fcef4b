import { expect, it } from 'vitest'
import { type Claim, claimOf, type Order, race } from './lost-races.ts'

const say = (eventId: string, version: number, after?: string): Claim => ({ name: 'tree', eventId, version, after })

/** Those that lost their place. */
function lost(...claims: readonly Claim[]): string[] {
  let order: Order | undefined
  return claims.flatMap((claim) => {
    const judged = race(claim, order)
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

it('asks whoever writes a tree, a request or a revocation, and nobody else', () => {
  const event = { id: 'evt_1', version: 2, partitionkey: 'grt_1', data: { after: 'evt_0' } }
  const of = (dataschema: string, more: object = {}) => claimOf({ ...event, dataschema, ...more })
  expect(of('urn:bailiwick:schema:decisions.v1:decision.allowed')).toEqual({
    ...{ name: 'decisions.v1 grt_1', eventId: 'evt_1', version: 2, after: 'evt_0' },
  })
  expect(of('urn:bailiwick:schema:revocations.v1:revocation.declared')?.name).toBe('revocations.v1')
  expect(of('urn:bailiwick:schema:registry.v1:rule.changed')).toBe(undefined)
  expect(of('urn:bailiwick:schema:decisions.v1:decision.denied', { version: undefined })).toBe(undefined)
})
